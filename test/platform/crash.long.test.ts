import { describeCrashes } from './crash'

describeCrashes('docker')
