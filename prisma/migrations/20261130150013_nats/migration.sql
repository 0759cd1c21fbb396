CREATE TABLE "NatsMessage" (
    "eventId" BIGINT NOT NULL,
    "teamId" TEXT NOT NULL,
    "messageId" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "body" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "NatsMessage_pkey" PRIMARY KEY ("eventId")
);

CREATE INDEX "NatsMessage_createdAt_idx" ON "NatsMessage"("createdAt");

-- Messages that wait are announced when their transaction commits: server/outbox/nats.ts sleeps until then.
CREATE TRIGGER "NatsMessage_queued" AFTER INSERT ON "NatsMessage"
  FOR EACH STATEMENT EXECUTE FUNCTION switchyard_notice('nats');
