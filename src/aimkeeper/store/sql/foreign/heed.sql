-- Triggers on a table that another program uses too: what it writes is noticed, and what we write leaves its marks alone.

-- What the app writes of a session makes it as new. Nobody spends the token for most of an interval: the app may be about
-- to do so itself, after a login.
CREATE FUNCTION aimkeeper.as_new(session public.auth_sessions) RETURNS public.auth_sessions
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET TimeZone = 'UTC' AS $$
DECLARE
  rules jsonb := (SELECT value FROM aimkeeper.meta WHERE key = 'adopted');
BEGIN
  session.fingerprint := COALESCE(NULLIF(session.fingerprint, ''), rules ->> 'fingerprint', '');
  session.account_key := split_part(session.aimharder_token, '|', 1);
  session.status := 'active'; session.cause := NULL; session.ended_at := NULL; session.wipe_at := NULL;
  session.attempt := 0; session.doubt_at := NULL; session.suspicion := NULL; session.alive_at := NULL;
  session.setrefresh_due := false; session.settled_in := false; session.last_rotation_id := NULL;
  session.last_token_update_date := now();
  session.deadline_at := now() + (rules ->> 'idle_timeout')::float8 * interval '1 second';
  -- Without a fingerprint a rotation is refused, and may end the session.
  session.due_at := CASE WHEN session.fingerprint <> '' AND session.aimharder_token <> ''
    THEN now() + (rules ->> 'refresh_every')::float8 * (0.8 + 0.2 * random()) * interval '1 second' END;
  RETURN session;
END $$;

CREATE FUNCTION aimkeeper.heed_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- Ours name a revision. An upsert comes by here too, also where it then changes a row that is there.
  IF NEW.revision = 0 THEN
    NEW := aimkeeper.as_new(NEW);
    NEW.revision := 1;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION aimkeeper.heed_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
  seen_before boolean;
BEGIN
  IF NEW.revision = 0 THEN
    RETURN NEW;  -- it is taken in later, as it then is
  END IF;
  IF NEW.revision <> OLD.revision THEN
    -- Ours. The app's own trigger stamps every change; what the app can't see is none, nor is sealing.
    IF OLD.revision = 0 OR (
      (NEW.aimharder_token = '' OR OLD.aimharder_token = '' OR ROW(NEW.aimharder_token, NEW.aimharder_cookies)
        IS NOT DISTINCT FROM ROW(OLD.aimharder_token, OLD.aimharder_cookies))
      AND ROW(NEW.fingerprint, NEW.last_token_update_date, NEW.last_token_update_error, NEW.last_refresh_date,
          NEW.last_refresh_error, NEW.status) IS NOT DISTINCT FROM
        ROW(OLD.fingerprint, OLD.last_token_update_date, OLD.last_token_update_error, OLD.last_refresh_date,
          OLD.last_refresh_error, OLD.status)) THEN
      NEW.updated_at := COALESCE(OLD.updated_at, NEW.updated_at);
    END IF;
    IF NEW.aimharder_token <> OLD.aimharder_token AND OLD.aimharder_token <> '' THEN
      NEW.spent := (OLD.spent || sha256(convert_to(OLD.aimharder_token, 'UTF8')))[GREATEST(cardinality(OLD.spent) - 6, 1):];
    END IF;
    RETURN NEW;
  END IF;
  IF NEW.aimharder_token <> OLD.aimharder_token AND NEW.aimharder_token <> '' THEN
    -- Another program's.
    seen_before := sha256(convert_to(NEW.aimharder_token, 'UTF8')) = ANY (OLD.spent);
    INSERT INTO aimkeeper.events (at, kind, session_id, email, data) VALUES (clock_timestamp(), 'foreign_write', NEW.id,
      NEW.user_email, json_build_object('old', seen_before, 'token',
        left(encode(sha256(convert_to(NEW.aimharder_token, 'UTF8')), 'hex'), 12))::text);
    IF seen_before THEN
      -- An old copy: what came after it stays. Everything else the app wrote is its own affair.
      NEW.aimharder_token := OLD.aimharder_token;
      NEW.aimharder_cookies := OLD.aimharder_cookies;
      RETURN NEW;
    END IF;
    IF OLD.aimharder_token <> '' THEN
      NEW.spent := (OLD.spent || sha256(convert_to(OLD.aimharder_token, 'UTF8')))[GREATEST(cardinality(OLD.spent) - 6, 1):];
    END IF;
    NEW := aimkeeper.as_new(NEW);
    NEW.generation := OLD.generation + 1;
    NEW.revision := OLD.revision + 1;
  ELSIF NEW.aimharder_cookies IS DISTINCT FROM OLD.aimharder_cookies THEN
    NEW.revision := OLD.revision + 1;  -- whoever is about to commit reads again, and merges
  ELSIF ROW(NEW.owner, NEW.claim_id, NEW.sealed, NEW.spares) IS DISTINCT FROM
        ROW(OLD.owner, OLD.claim_id, OLD.sealed, OLD.spares) THEN
    NEW.updated_at := OLD.updated_at;  -- a claim
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION aimkeeper.heed_after() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' SET TimeZone = 'UTC' AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    -- The token that was there is in its sealed part. It may be needed yet, and nobody here can open it.
    INSERT INTO aimkeeper.spares (id, session_id, sealed, issued_at, kept_at, generation)
    VALUES ('row:' || OLD.id || ':' || md5(OLD.sealed), OLD.id, OLD.sealed, OLD.last_token_update_date,
      clock_timestamp(), OLD.generation) ON CONFLICT (id) DO NOTHING;
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO aimkeeper.events (at, kind, session_id, email, data) VALUES (clock_timestamp(), 'adopted', NEW.id,
      NEW.user_email, json_build_object('by', 'another program', 'token',
        left(encode(sha256(convert_to(NEW.aimharder_token, 'UTF8')), 'hex'), 12))::text);
  ELSE
    INSERT INTO aimkeeper.events (at, kind, session_id, email, data) VALUES (clock_timestamp(), 'ended', OLD.id,
      OLD.user_email, json_build_object('cause', 'forgotten', 'by', 'another program')::text);
  END IF;
  RETURN NULL;
END $$;

-- By their names they come after the app's own.
CREATE TRIGGER zz_aimkeeper_insert BEFORE INSERT ON public.auth_sessions
  FOR EACH ROW EXECUTE FUNCTION aimkeeper.heed_insert();
CREATE TRIGGER zz_aimkeeper_update BEFORE UPDATE ON public.auth_sessions
  FOR EACH ROW EXECUTE FUNCTION aimkeeper.heed_update();
CREATE TRIGGER zz_aimkeeper_inserted AFTER INSERT ON public.auth_sessions
  FOR EACH ROW WHEN (NEW.ring = '\x90') EXECUTE FUNCTION aimkeeper.heed_after();
-- Ours that bring a new token seal it: the sealed part changes.
CREATE TRIGGER zz_aimkeeper_updated AFTER UPDATE ON public.auth_sessions
  FOR EACH ROW WHEN (NEW.generation > OLD.generation AND NEW.aimharder_token <> OLD.aimharder_token
    AND NEW.sealed = OLD.sealed AND OLD.sealed <> '' AND OLD.cause IS DISTINCT FROM 'logged_out_here')
  EXECUTE FUNCTION aimkeeper.heed_after();
CREATE TRIGGER zz_aimkeeper_deleted AFTER DELETE ON public.auth_sessions
  FOR EACH ROW WHEN (OLD.status <> 'ended') EXECUTE FUNCTION aimkeeper.heed_after();

-- The count is kept also where a trigger, and no statement, changes a status.
DROP TRIGGER recounted ON public.auth_sessions;
CREATE TRIGGER recounted AFTER UPDATE ON public.auth_sessions
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION aimkeeper.recount();
INSERT INTO aimkeeper.status_counts SELECT 'active', count(*) FROM public.auth_sessions;
