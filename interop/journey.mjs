// The wallet of vci.mjs and that of vp.mjs as one, with the same keys: it obtains
// credentials and presents them.
import vci from './vci.mjs'
import vp from './vp.mjs'

export default {
  ...vci,
  /** What the wallet reads of a verifier's link. */
  open: vp.resolve,
  respond: vp.respond,
}
