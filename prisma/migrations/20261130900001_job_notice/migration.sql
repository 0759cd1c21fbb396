-- A job that may be claimed is announced when its transaction commits, whoever wrote it: server/jobs/worker.ts sleeps until then.
CREATE FUNCTION switchyard_job_queued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('switchyard_changes', json_build_object(
    'kind', 'job', 'id', NEW."id"::text, 'teamId', NULL, 'projectId', NULL)::text);
  RETURN NULL;
END $$;

CREATE TRIGGER "Job_queued" AFTER INSERT OR UPDATE OF "state" ON "Job"
  FOR EACH ROW WHEN (NEW."state" = 'queued') EXECUTE FUNCTION switchyard_job_queued();
