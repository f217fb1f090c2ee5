package cwt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/keys"
)

// What a QR code of each version holds in alphanumeric mode (ISO/IEC 18004 table
// 7), version 1 first.
var (
	capacityL = []int{
		25, 47, 77, 114, 154, 195, 224, 279, 335, 395, 468, 535, 619, 667, 758, 854, 938, 1046, 1153, 1249,
		1352, 1460, 1588, 1704, 1853, 1990, 2132, 2223, 2369, 2520,
	}
	capacityM = []int{
		20, 38, 61, 90, 122, 154, 178, 221, 262, 311, 366, 419, 483, 528, 600, 656, 734, 816, 909, 970,
		1035, 1134, 1248, 1326, 1451, 1542, 1637, 1732, 1839, 1994,
	}
	capacityQ = []int{
		16, 29, 47, 67, 87, 108, 125, 157, 189, 221, 259, 296, 352, 376, 426, 470, 531, 574, 644, 702,
		742, 823, 890, 963, 1041, 1094, 1172, 1263, 1322, 1429,
	}
)

// version is the smallest that holds so many characters, above 30 a very large
// number.
func version(capacity []int, characters int) int {
	for i, n := range capacity {
		if characters <= n {
			return i + 1
		}
	}
	return math.MaxInt
}

// TestSizes is P16: the codes stay as small as the design promises. Each limit is
// the version at level M of the design's table, where no reason is given.
func TestSizes(t *testing.T) {
	tests := []struct {
		name  string
		token func() cwt.Token
		limit int
	}{
		{"narrow proof", narrowProof, 10},
		{"person in two scripts, no status", func() cwt.Token { t := person(); t.Status = nil; return t }, 11},
		{"person in two scripts", person, 13}, // its names are longer than those of the table
		{"farmer card", farmerCard, 13},
		{"trade licence", tradeLicence, 13},
		{"birth certificate, one script (goal V13)", birthCertificateOneScript, 13},
		{"birth certificate, two scripts", birthCertificate, 16},
		{"card bound to a holder", func() cwt.Token { return withHolder(t, farmerCard()) }, 15},
		{"card with a face of 484 bytes", func() cwt.Token { return withFace(t, farmerCard(), 484) }, 23},
		{"card with a face of 900 bytes", func() cwt.Token { return withFace(t, farmerCard(), 900) }, 29},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSigner(t, keys.ES256)
			b := mustSign(t, tt.token(), s)
			text := issueText(t, tt.token(), s)
			m := version(capacityM, len(text))
			t.Logf("%4d bytes, %4d characters: V%d-L V%d-M V%d-Q (31 for more than 30)", len(b), len(text),
				min(version(capacityL, len(text)), 31), m, min(version(capacityQ, len(text)), 31))
			if m > tt.limit {
				t.Errorf("version %d, at most %d", m, tt.limit)
			}
		})
	}
	t.Run("minimal, with a certificate", func(t *testing.T) {
		s := newSigner(t, keys.ES256)
		root, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		token := narrowProof()
		token.X5Chain = [][]byte{certify(t, s.Key().Public.Crypto(), root)}
		text := issueText(t, token, s)
		t.Logf("certificate of %d bytes, %d characters: V%d-M", len(token.X5Chain[0]), len(text), version(capacityM, len(text)))
		if v := version(capacityM, len(text)); v > 22 {
			t.Errorf("version %d, at most 22", v)
		}
	})
}

func narrowProof() cwt.Token {
	return cwt.Token{
		Issuer: "jes.gov.xx", Type: "urn:xx:over-18:1", IssuedAt: issuedAt, Expires: issuedAt.AddDate(5, 0, 0),
		Status: &credential.StatusRef{URI: "https://status.jes.gov.xx/a/3", Index: 912_345},
		Fields: map[int64]any{1: true},
	}
}

func person() cwt.Token {
	t := birthCertificate()
	t.Type, t.Fields, t.Expires = "urn:xx:person:1", nil, time.Time{}
	t.Status = &credential.StatusRef{URI: "https://s.jes.xx/1", Index: 77_123}
	return t
}

func tradeLicence() cwt.Token {
	return cwt.Token{
		Issuer: "jes.gov.xx", Type: "urn:xx:trade-licence:1", IssuedAt: issuedAt, Expires: issuedAt.AddDate(1, 0, 0),
		Status: &credential.StatusRef{URI: "https://status.jes.gov.xx/t/1", Index: 55_321},
		Fields: map[int64]any{
			1: "TRAD/JSR/004512/2026", 2: "Rahman & Sons Hardware Store", 3: "Abdur Rahman", 4: "Retail",
			5: "12 Municipal Market Road, Jessore", 6: 4,
		},
	}
}

func withHolder(t *testing.T, token cwt.Token) cwt.Token {
	holder := newSigner(t, keys.ES256).Key().Public
	token.Holder = &holder
	return token
}

func withFace(t *testing.T, token cwt.Token, size int) cwt.Token {
	t.Helper()
	picture := make([]byte, size) // a picture does not compress
	_, _ = mathrand.NewChaCha8([32]byte{7}).Read(picture)
	claim, err := cwt.FaceClaim(credential.Face{Data: picture, MediaType: "image/webp"})
	if err != nil {
		t.Fatal(err)
	}
	token.Person[62] = claim
	return token
}
