import { describeCrashes } from './crash'

describeCrashes('process')
