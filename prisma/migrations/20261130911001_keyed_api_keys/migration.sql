-- Hashes are keyed by the master key now. An unkeyed hash of a short key could be guessed from a dump, and it opens nothing any more.
UPDATE "ApiKey" SET "hash" = 'unkeyed ' || "id", "revokedAt" = COALESCE("revokedAt", CURRENT_TIMESTAMP);
