-- One revocation for each key, the one that reaches furthest: what older ones said of erased records is gone.
DELETE FROM revocation WHERE EXISTS (
    SELECT 1 FROM revocation AS other
    WHERE other.key = revocation.key
    AND (other.before, other.position) > (revocation.before, revocation.position)
);

CREATE UNIQUE INDEX revocation_key ON revocation (key);
