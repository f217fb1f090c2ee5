package issuance

import (
	"fmt"

	"github.com/sanad-id/sanad/keys"
)

// ErrSampleKey: a holder key stands in a standard or a set of test vectors, so that
// everybody has it. It is an [ErrHolders], too.
var ErrSampleKey = fmt.Errorf("%w: one is a published sample", ErrHolders)

// sampleKey reports whether the private half of a key is public knowledge (corpus SIG-08).
// A wallet that brings one was never finished, or is somebody's attempt. The list names
// the keys by their thumbprint (RFC 7638): those of the standards that wallets are built
// from.
func sampleKey(k keys.PublicKey) bool {
	switch k.JWKThumbprint() {
	case "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", // RFC 7515 appendix A.3
		"cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s", // RFC 7517 appendix A
		"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", // RFC 9449 section 4.1
		"aISfTcr9M_Zd09AXGAAeFxnLbFY6lBa87UN515wm5d4", // RFC 9901, the holder
		"Q5yTSREAbvZL131ynDBhalXJcF9fL0foJlMN8u6ldiY", // RFC 9901, the issuer
		"nsnRYXLu2y5KUIxcX-zph8ZtLWiJfLKxVDVYUWPwhcc", // OpenID4VCI 1.0 appendix F.1
		"HsSFalww3yP-dO-lWGYgFcyV5H22oScIFc4V2Y6GOto", // RFC 9052 appendix C.7, meriadoc
		"DOvxvJiAdIqVWIkFt5hDtCunXLF0BV4-JGv4f-ALSm0", // RFC 6979 appendix A.2.5
		"xx0BcA-wMohw8atYDJOe6peGModklG2wRHBlXHMvl0M", // P-256 with the secret 1
		"WRQ2RbY5RYJCIxfDQL9agl9fFSCYVu4Xocqb6zerc1M", // SD-CWT draft, the holder
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", // RFC 8037 appendix A, RFC 8032 test 1
		"FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk", // RFC 8032 test 2
		"FVV5umTuau890q59V-4Ga_R6qWb7ON_ivJc4EjvCwTM": // RFC 8032 test 3
		return true
	}
	return false
}
