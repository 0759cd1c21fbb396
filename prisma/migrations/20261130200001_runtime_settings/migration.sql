-- How a project's instances run, as far as a person set it: a partial shared/runtime-settings.ts.
ALTER TABLE "Project" ADD COLUMN     "runtimeSettings" JSONB;
