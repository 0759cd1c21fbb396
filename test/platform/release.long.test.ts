import { describeReleases } from './release'

describeReleases('docker')
