package verification_test

import (
	"fmt"
	"time"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/verification"
)

// codes wires credential/cwt as the reader of COSE messages.
type codes struct{}

func (codes) Verify(message []byte, keys verification.IssuerKeys) (*credential.Verified, error) {
	return cwt.Verify(message, cwt.Expect{Keys: keys})
}

func Example() {
	checker, err := verification.New(verification.Config{
		COSE:         codes{},
		TrustProblem: "nothing was imported yet",
		Now:          func() time.Time { return time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	report := checker.Check([]byte("https://pay.example/?to=me"))
	fmt.Println(report.Verdict, report.Kind, report.Reasons())
	// Output: undetermined web_link [unsupported_format no_trust]
}
