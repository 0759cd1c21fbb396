import { describeReleases } from './release'

describeReleases('process')
