import { engineContract } from '../contract'
import { createLeanEngine } from './engine'

engineContract('lean', createLeanEngine)
