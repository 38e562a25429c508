-- The role of the site: it reads, and adds through functions. It cannot change or delete an entry.
GRANT USAGE ON SCHEMA consent TO consent_web;
GRANT SELECT ON ALL TABLES IN SCHEMA consent TO consent_web;
GRANT INSERT ON consent.node, consent.document, consent.checkpoint, consent.published, consent.total TO consent_web;
GRANT UPDATE (count) ON consent.total TO consent_web;
GRANT UPDATE (code) ON consent.subject TO consent_web;
GRANT UPDATE (token) ON consent.published TO consent_web;
GRANT DELETE ON consent.revocation TO consent_web;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA consent TO consent_web;
