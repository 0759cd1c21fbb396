-- The watch looks for its deployments every two seconds.
CREATE INDEX "Deployment_watchUntil_idx" ON "Deployment"("watchUntil");
