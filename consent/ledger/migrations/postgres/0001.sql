-- Every name is written out in full, so that no search_path matters: a pooler may give each transaction another session.
CREATE SCHEMA consent;

CREATE TABLE consent.migration (
    number integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE consent.setting (
    name text PRIMARY KEY,
    value bytea NOT NULL
);

-- Kept for ever, apart from the bodies, which pruning may delete. Its highest index is the head of the log.
CREATE TABLE consent.leaf (
    idx bigint PRIMARY KEY,
    hash bytea NOT NULL,
    record uuid NOT NULL UNIQUE,
    recorded_at bigint NOT NULL
);

CREATE TABLE consent.entry (
    idx bigint NOT NULL,
    recorded_at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (idx, recorded_at)
) PARTITION BY RANGE (recorded_at);

-- Roots of complete subtrees of 256, 256² … leaves, which sealing keeps.
CREATE TABLE consent.node (
    height integer NOT NULL,
    number bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (height, number)
);

-- Who an entry is about. Rows may be deleted: no entry refers to them, and what was deleted is to leave the files soon.
CREATE TABLE consent.subject (
    idx bigint PRIMARY KEY,
    consent_id bytea NOT NULL,
    salt bytea NOT NULL,
    code bytea
) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0);

CREATE INDEX subject_consent_id ON consent.subject (consent_id);

CREATE INDEX subject_code ON consent.subject (code) WHERE code IS NOT NULL;

-- One for each key, the one that reaches furthest. A position is the number of entries when it was made.
CREATE TABLE consent.revocation (
    position bigint PRIMARY KEY,
    key bytea NOT NULL UNIQUE,
    before bigint NOT NULL
);

CREATE TABLE consent.publication (
    name text PRIMARY KEY,
    idx bigint NOT NULL
);

CREATE TABLE consent.document (
    digest bytea PRIMARY KEY,
    kind text NOT NULL,
    media_type text NOT NULL,
    language text NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE consent.checkpoint (
    size bigint PRIMARY KEY,
    note bytea NOT NULL
);

-- How often something happened in an hour, about nobody.
CREATE TABLE consent.total (
    hour bigint NOT NULL,
    name text NOT NULL,
    subject text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (hour, name, subject)
);

-- Let the commit of this transaction be worth an acknowledgement, or refuse: whatever the session or a failover set.
CREATE FUNCTION consent.durably(durability text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF durability = 'synchronous' AND btrim(current_setting('synchronous_standby_names')) = '' THEN
        RAISE EXCEPTION 'no standby is synchronous: synchronous_standby_names is empty' USING ERRCODE = 'CN001';
    END IF;
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- A commit that did not wait for its standbys says so in a WARNING alone.
    IF current_setting('client_min_messages') = 'error' THEN
        PERFORM set_config('client_min_messages', 'warning', true);
    END IF;
    PERFORM set_config('lock_timeout', '5s', true);
END
$$;

-- Make the commit of this transaction wait until all that it could see is as durable as its own writes: without a write
-- of its own a commit waits for nothing, and a row that can be seen may yet be lost in a failover.
CREATE FUNCTION consent.barrier(durability text) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM consent.durably(durability);
    PERFORM pg_logical_emit_message(true, 'consent', '');
END
$$;

-- Append what is not known yet, and return where each entry stands. One row with idx -1 and the newest recorded_at means
-- that `made_at` lies before it, and that nothing was appended. Empty bytes and texts stand for nothing.
CREATE FUNCTION consent.append(
    durability text, made_at bigint, records uuid[], hashes bytea[], bodies bytea[],
    subjects bytea[], salts bytea[], keys bytea[], befores bigint[], names text[]
) RETURNS SETOF consent.leaf LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    size bigint;
    newest bigint;
    seen bigint;
BEGIN
    PERFORM consent.durably(durability);
    PERFORM pg_advisory_xact_lock(1131367527);
    -- Each statement of a function sees what was committed before it: here, before the lock was given.
    SELECT leaf.idx + 1, leaf.recorded_at INTO size, newest FROM consent.leaf ORDER BY leaf.idx DESC LIMIT 1;
    IF newest > made_at THEN
        RETURN NEXT (-1, ''::bytea, '00000000-0000-0000-0000-000000000000'::uuid, newest)::consent.leaf;
        RETURN;
    END IF;
    RETURN QUERY SELECT * FROM consent.leaf WHERE leaf.record = ANY (records);
    GET DIAGNOSTICS seen = ROW_COUNT;
    IF seen > 0 THEN
        PERFORM pg_logical_emit_message(true, 'consent', '');
    END IF;
    RETURN QUERY
    WITH fresh AS (
        SELECT given.*, coalesce(size, 0) - 1 + row_number() OVER (ORDER BY given.place) AS idx
        FROM unnest(records, hashes, bodies, subjects, salts, keys, befores, names) WITH ORDINALITY
            AS given (record, hash, body, subject, salt, key, before, name, place)
        WHERE NOT EXISTS (SELECT FROM consent.leaf WHERE leaf.record = given.record)
    ), bodied AS (
        INSERT INTO consent.entry SELECT fresh.idx, made_at, fresh.body FROM fresh
    ), about AS (
        INSERT INTO consent.subject (idx, consent_id, salt)
        SELECT fresh.idx, fresh.subject, fresh.salt FROM fresh WHERE fresh.subject <> ''
    ), revoked AS (
        INSERT INTO consent.revocation AS kept
        SELECT max(fresh.idx) + 1, fresh.key, max(fresh.before) FROM fresh WHERE fresh.key <> '' GROUP BY fresh.key
        ON CONFLICT (key) DO UPDATE
        SET position = excluded.position, before = greatest(kept.before, excluded.before)
    ), published AS (
        INSERT INTO consent.publication SELECT fresh.name, fresh.idx FROM fresh WHERE fresh.name <> ''
    )
    INSERT INTO consent.leaf SELECT fresh.idx, fresh.hash, fresh.record, made_at FROM fresh RETURNING *;
END
$$;

-- Forget which entries are about a consent id, of which there are `counted`, and append the one entry that says so.
CREATE FUNCTION consent.erase(
    durability text, made_at bigint, new_record uuid, new_hash bytea, new_body bytea,
    erased bytea, counted bigint, revoked bytea, revoked_before bigint
) RETURNS SETOF consent.leaf LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    appended consent.leaf;
    gone bigint;
BEGIN
    SELECT * INTO appended FROM consent.append(
        durability, made_at, ARRAY[new_record], ARRAY[new_hash], ARRAY[new_body],
        ARRAY[''::bytea], ARRAY[''::bytea], ARRAY[revoked], ARRAY[revoked_before], ARRAY['']
    );
    IF appended.idx >= 0 THEN
        DELETE FROM consent.subject WHERE subject.consent_id = erased;
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone <> counted AND appended.hash = new_hash THEN
            RAISE EXCEPTION 'there are % entries to be erased, not %', gone, counted USING ERRCODE = 'CN002';
        END IF;
    END IF;
    RETURN NEXT appended;
END
$$;

-- Make the partitions of the months from one Unix second to another. They are attached, and not made in place, because
-- that keeps nobody waiting.
CREATE FUNCTION consent.make_months(first bigint, last bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    month timestamp := date_trunc('month', to_timestamp(first) AT TIME ZONE 'UTC');
    name text;
BEGIN
    WHILE extract(epoch FROM month) <= last LOOP
        name := 'entry_' || to_char(month, 'YYYY_MM');
        IF NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'consent'::regnamespace) THEN
            PERFORM pg_advisory_xact_lock(1131367528);
            -- Another process may have been first.
            IF NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'consent'::regnamespace) THEN
                EXECUTE format('CREATE TABLE consent.%I (LIKE consent.entry INCLUDING INDEXES)', name);
                EXECUTE format(
                    'ALTER TABLE consent.entry ATTACH PARTITION consent.%I FOR VALUES FROM (%s) TO (%s)',
                    name,
                    extract(epoch FROM month)::bigint,
                    extract(epoch FROM month + interval '1 month')::bigint
                );
            END IF;
        END IF;
        month := month + interval '1 month';
    END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA consent FROM PUBLIC;
