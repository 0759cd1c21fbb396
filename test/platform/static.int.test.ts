import { describeStaticSites } from './static'

describeStaticSites('process')
