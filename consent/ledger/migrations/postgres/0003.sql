-- Which indices lost the rows of their emptied bodies with the partition of a month: no row there is no hole.
CREATE TABLE consent.dropped (
    first bigint PRIMARY KEY,
    last bigint NOT NULL
);

-- Return empty bytes for an index whose emptied body lost its row, else null: then the row is missing.
CREATE FUNCTION consent.body_dropped(place bigint) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ''::bytea FROM consent.dropped WHERE dropped.first <= place AND place < dropped.last LIMIT 1
$$;

DROP FUNCTION consent.prune(text, bigint, uuid, bytea, bytea, bigint, bigint[], bigint[]);

-- As before, and never while a partition is being dropped; and with the name under which the log reports what was pruned,
-- without which it looked lost.
CREATE FUNCTION consent.prune(
    durability text, made_at bigint, new_record uuid, new_hash bytea, new_body bytea,
    counted bigint, new_name text, firsts bigint[], lasts bigint[]
) RETURNS SETOF consent.leaf LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    appended consent.leaf;
    gone bigint;
BEGIN
    PERFORM consent.durably(durability);
    PERFORM pg_advisory_xact_lock(1131367530);
    SELECT * INTO appended FROM consent.append(
        durability, made_at, ARRAY[new_record], ARRAY[new_hash], ARRAY[new_body],
        ARRAY[''::bytea], ARRAY[''::bytea], ARRAY[''::bytea], ARRAY[0::bigint], ARRAY[new_name]
    );
    IF appended.idx >= 0 THEN
        UPDATE consent.entry SET body = '' FROM unnest(firsts, lasts) AS given (first, last)
        WHERE entry.idx >= given.first AND entry.idx < given.last AND entry.body <> '';
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone <> counted AND appended.hash = new_hash THEN
            RAISE EXCEPTION 'there are % entries to be pruned, not %', gone, counted USING ERRCODE = 'CN002';
        END IF;
        DELETE FROM consent.subject USING unnest(firsts, lasts) AS given (first, last)
        WHERE subject.idx >= given.first AND subject.idx < given.last;
    END IF;
    RETURN NEXT appended;
END
$$;

-- Drop the oldest partition that ends at or before a Unix second and of whose bodies nine in ten or more were emptied;
-- those that are left lie in a small partition of the same month afterwards. Returns its name, or null where there is
-- none. Only who owns the tables can: it is no SECURITY DEFINER.
CREATE FUNCTION consent.drop_month(until bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    name text;
    month timestamp;
    low bigint;
    high bigint;
    whole bigint;
    left_over bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1131367530);
    FOR name IN
        SELECT part.relname FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid
        WHERE inhparent = 'consent.entry'::regclass AND part.relname ~ '^entry_[0-9]{4}_[0-9]{2}$'
        ORDER BY part.relname
    LOOP
        month := to_date(right(name, 7), 'YYYY_MM');
        -- Where the newest entry is of a later month, nothing is appended to this one any more.
        CONTINUE WHEN extract(epoch FROM month + interval '1 month') > least(
            until, (SELECT leaf.recorded_at FROM consent.leaf ORDER BY leaf.idx DESC LIMIT 1)
        );
        EXECUTE format(
            'SELECT count(*), count(*) FILTER (WHERE body <> ''''), min(idx), max(idx) + 1 FROM consent.%I', name
        ) INTO whole, left_over, low, high;
        CONTINUE WHEN whole = left_over OR whole < left_over * 10;
        IF left_over > 0 THEN
            CREATE TABLE consent.kept (LIKE consent.entry INCLUDING INDEXES);
            EXECUTE format('INSERT INTO consent.kept SELECT * FROM consent.%I WHERE body <> ''''', name);
        END IF;
        -- From here on readers and writers wait; they have waited in vain where this waits for longer than they do.
        PERFORM set_config('lock_timeout', '2s', true);
        EXECUTE format('ALTER TABLE consent.entry DETACH PARTITION consent.%I', name);
        EXECUTE format('DROP TABLE consent.%I', name);
        IF left_over > 0 THEN
            EXECUTE format('ALTER TABLE consent.kept RENAME TO %I', name);
            EXECUTE format(
                'ALTER TABLE consent.entry ATTACH PARTITION consent.%I FOR VALUES FROM (%s) TO (%s)',
                name, extract(epoch FROM month)::bigint, extract(epoch FROM month + interval '1 month')::bigint
            );
        END IF;
        INSERT INTO consent.dropped VALUES (low, high)
        ON CONFLICT (first) DO UPDATE SET last = greatest(dropped.last, excluded.last);
        RETURN name;
    END LOOP;
    RETURN NULL;
END
$$;

INSERT INTO consent.publication
SELECT 'pruned/' || leaf.record, leaf.idx FROM consent.entry JOIN consent.leaf USING (idx, recorded_at)
WHERE position('"kind":"pruned"'::bytea IN entry.body) > 0;

REVOKE ALL ON FUNCTION consent.prune, consent.drop_month, consent.body_dropped FROM PUBLIC;
