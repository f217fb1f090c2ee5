//go:build !js

package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

const pemBegin = "-----BEGIN "

// PEM returns the key as a PUBLIC KEY block (SubjectPublicKeyInfo, RFC 7468).
func (k PublicKey) PEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.get().key)
	if err != nil {
		panic("keys: internal error: marshal a checked key: " + err.Error())
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// ParsePEM reads the one PUBLIC KEY or CERTIFICATE block of b (RFC 7468). Text
// before and after the block is passed over. Of a certificate only the key
// counts: neither its dates nor who signed it are looked at, since whom to trust
// is stated by the trust bundle or by whoever pins the key.
func ParsePEM(b []byte) (PublicKey, error) {
	if err := checkSize(b); err != nil {
		return PublicKey{}, err
	}
	var blocks []*pem.Block
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return PublicKey{}, fmt.Errorf("%w (PEM block %q): keep it where it is and give its public half, which openssl pkey -pubout prints",
				ErrPrivate, cut(block.Type))
		}
		blocks = append(blocks, block)
	}
	if n := bytes.Count(b, []byte(pemBegin)); len(blocks) == 0 || n != len(blocks) {
		return PublicKey{}, fmt.Errorf("%w: PEM with %d complete blocks of %d", ErrMalformedKey, len(blocks), n)
	}
	if len(blocks) > 1 {
		return PublicKey{}, fmt.Errorf("%w: PEM with %d blocks; give the one that holds the signer's key", ErrMalformedKey, len(blocks))
	}
	switch block := blocks[0]; block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return PublicKey{}, fmt.Errorf("%w: PEM public key: %v", ErrMalformedKey, err)
		}
		return PublicKeyOf(key)
	case "CERTIFICATE":
		return parseCertificate(block.Bytes)
	default:
		return PublicKey{}, fmt.Errorf("%w: PEM block %q, want PUBLIC KEY or CERTIFICATE", ErrUnsupportedKey, cut(block.Type))
	}
}

func parseCertificate(der []byte) (PublicKey, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: certificate: %v", ErrMalformedKey, err)
	}
	// RFC 5280 section 4.2.1.3: a key usage, where there is one, limits the key.
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return PublicKey{}, fmt.Errorf("%w: the certificate's key usage does not allow digital signatures", ErrKeyUse)
	}
	return PublicKeyOf(cert.PublicKey)
}
