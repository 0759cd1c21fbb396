-- One deployment at a time in an environment, held by the database itself: two requests at the same instant cannot both win.
CREATE UNIQUE INDEX "Deployment_one_running_per_environment" ON "Deployment"("environmentId") WHERE "status" IN ('PENDING', 'BUILDING', 'DEPLOYING');
