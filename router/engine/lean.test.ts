import { engineContract } from './contract/suite'
import { createLeanEngine } from './lean'

engineContract('lean', createLeanEngine)
