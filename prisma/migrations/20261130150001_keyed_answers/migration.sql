CREATE TABLE "KeyedAnswer" (
    "id" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "actor" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" BYTEA,
    "bodyBytes" BIGINT,
    "leaseOwner" TEXT NOT NULL,
    "leaseExpiresAt" TIMESTAMP(3) NOT NULL,
    "answer" BYTEA,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "KeyedAnswer_pkey" PRIMARY KEY ("id")
);

CREATE UNIQUE INDEX "KeyedAnswer_teamId_actor_key_key" ON "KeyedAnswer"("teamId", "actor", "key");

CREATE INDEX "KeyedAnswer_expiresAt_idx" ON "KeyedAnswer"("expiresAt");

ALTER TABLE "KeyedAnswer" ADD CONSTRAINT "KeyedAnswer_teamId_fkey" FOREIGN KEY ("teamId") REFERENCES "Team"("id") ON DELETE CASCADE ON UPDATE CASCADE;
