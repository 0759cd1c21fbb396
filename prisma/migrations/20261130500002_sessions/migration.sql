DROP TABLE "Session";

CREATE TABLE "Session" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "address" TEXT,
    "userAgent" TEXT,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "lastUsedAt" TIMESTAMP(3),
    "endedAt" TIMESTAMP(3),
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "Session_pkey" PRIMARY KEY ("id")
);

CREATE INDEX "Session_userId_idx" ON "Session"("userId");
CREATE INDEX "Session_expiresAt_idx" ON "Session"("expiresAt");

ALTER TABLE "Session" ADD CONSTRAINT "Session_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Whoever changes who may do what, by the API or by hand, every open stream hears of it: server/events/bus.ts listens to this channel.
CREATE FUNCTION switchyard_access_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('switchyard_changes', json_build_object(
    'kind', 'access', 'id', to_jsonb(OLD) ->> TG_ARGV[0], 'teamId', NULL, 'projectId', NULL)::text);
  RETURN NULL;
END $$;

CREATE TRIGGER "Session_access" AFTER UPDATE OF "endedAt", "expiresAt" OR DELETE ON "Session"
  FOR EACH ROW EXECUTE FUNCTION switchyard_access_changed('userId');
CREATE TRIGGER "Membership_access" AFTER UPDATE OF "role" OR DELETE ON "Membership"
  FOR EACH ROW EXECUTE FUNCTION switchyard_access_changed('userId');
CREATE TRIGGER "User_access" AFTER UPDATE OF "operator" ON "User"
  FOR EACH ROW EXECUTE FUNCTION switchyard_access_changed('id');
CREATE TRIGGER "ApiKey_access" AFTER UPDATE OF "revokedAt", "expiresAt", "role", "operator" OR DELETE ON "ApiKey"
  FOR EACH ROW EXECUTE FUNCTION switchyard_access_changed('id');

-- A new password ends every session of the person, whichever way it is set.
CREATE FUNCTION switchyard_end_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE "Session" SET "endedAt" = now() AT TIME ZONE 'utc' WHERE "userId" = NEW."id" AND "endedAt" IS NULL;
  RETURN NULL;
END $$;

CREATE TRIGGER "User_password" AFTER UPDATE OF "passwordHash" ON "User"
  FOR EACH ROW WHEN (OLD."passwordHash" IS DISTINCT FROM NEW."passwordHash") EXECUTE FUNCTION switchyard_end_sessions();
