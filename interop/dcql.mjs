// dcql: a second opinion on queries and on what answers them.
import { DcqlQuery } from 'dcql'

export default {
  /** Reads and validates a query; throws if it is not valid. */
  parse: ({ query }) => {
    DcqlQuery.validate(DcqlQuery.parse(JSON.parse(query)))
  },

  /** Compares a query with credentials: whether they answer it, and with which claims. */
  match: ({ query, held }) => {
    const parsed = DcqlQuery.parse(JSON.parse(query))
    const result = DcqlQuery.query(parsed, held.map((c) => ({
      credential_format: c.Format, vct: c.Type, claims: c.Claims, cryptographic_holder_binding: c.Holder,
    })))
    const shown = {}
    for (const [id, m] of Object.entries(result.credential_matches)) {
      if (m.success) shown[id] = m.valid_credentials[0].claims.valid_claim_sets[0].output
    }
    return { possible: result.can_be_satisfied, shown }
  },
}
