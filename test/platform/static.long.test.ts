import { describeStaticSites } from './static'

describeStaticSites('docker')
