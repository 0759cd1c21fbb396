import { describe, expect, test } from 'vitest'
import { AcmeProblem, AuthoritySilent, ChallengeError, toCertificateProblem } from './problems'

const say = (error: unknown) => toCertificateProblem(error, { step: 'order' })

describe('what is said of a certificate that did not come', () => {
  test('has something to do next, whatever the CA answered', () => {
    for (const type of ['', 'serverInternal', 'rateLimited', 'userActionRequired', 'badCSR', 'somethingNew'])
      expect(say(new AcmeProblem({ type, status: 403, detail: 'no' })).nextAction, type).toBeTruthy()
    expect(say(new AuthoritySilent(new Error('refused'), true)).nextAction).toBeTruthy()
    expect(say(new ChallengeError('Not every router took it.')).nextAction).toBeTruthy()
  })

  test('does not send a person to their DNS when it is the account that the CA refuses', () => {
    const refused = { type: 'urn:ietf:params:acme:error:unauthorized', status: 403, detail: 'account is deactivated' }
    expect(say(new AcmeProblem(refused)).nextAction).not.toContain('DNS')
    expect(say(new AcmeProblem({ ...refused, validation: true })).nextAction).toContain('DNS')
  })
})
