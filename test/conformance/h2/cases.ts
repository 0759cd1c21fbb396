import { errorAndExtensionCases, pingAndGoawayCases, prefaceAndFormatCases, pushCases, settingsCases, windowCases } from './cases-connection'
import { exchangeCases, frameCases, hpackFieldCases, startingCases } from './cases-generic'
import { continuationCases, hpackCases, messageCases, stateCases, streamFrameCases } from './cases-streams'
import type { Case } from './verify'

/** The cases of h2spec 2.6, one for one, written anew. */
export const conformanceCases: Case[] = [
  ...startingCases,
  ...frameCases,
  ...exchangeCases,
  ...hpackFieldCases,
  ...prefaceAndFormatCases,
  ...stateCases,
  ...errorAndExtensionCases,
  ...streamFrameCases,
  ...settingsCases,
  ...pingAndGoawayCases,
  ...windowCases,
  ...continuationCases,
  ...messageCases,
  ...pushCases,
  ...hpackCases,
]
