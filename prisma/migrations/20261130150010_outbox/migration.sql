-- The reader of the outbox is notified when a transaction with events commits: server/outbox/relay.ts sleeps until then.
CREATE FUNCTION switchyard_event_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('switchyard_changes', '{"kind":"event","id":"","teamId":null,"projectId":null}');
  RETURN NULL;
END $$;

CREATE TRIGGER "Event_written" AFTER INSERT ON "Event"
  FOR EACH STATEMENT EXECUTE FUNCTION switchyard_event_written();

-- Unread events by order of writing; the reader asks for nothing else of this column.
DROP INDEX "Event_publishedAt_idx";
CREATE INDEX "Event_unread_idx" ON "Event"("id") WHERE "publishedAt" IS NULL;
