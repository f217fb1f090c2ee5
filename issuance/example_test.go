package issuance_test

import (
	"context"
	"fmt"
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// A service issues for a record, and revokes what it issued. Real programs take
// the store from package store and the keys from package keys.
func ExampleService_Issue() {
	ctx := context.Background()
	service, err := issuance.New(issuance.Config{
		Issuer: "xa-office", StatusBase: "https://example.org/status/", Store: newMemory(), Keys: newRing(), Secret: secret,
		Now: func() time.Time { return start },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := service.FirstKey(ctx, keys.Spec{Purpose: keys.Credential}, "registrar"); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := service.AddProgramme(ctx, []byte(card), "registrar"); err != nil {
		fmt.Println(err)
		return
	}
	issued, err := service.Issue(ctx, issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "registrar"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range issued.Forms {
		fmt.Println("code for form", f.Form)
	}
	_, err = service.Issue(ctx, issuance.Request{Programme: "farmer-card", Record: person(1), Actor: "registrar"})
	fmt.Println("again:", err != nil)
	revoked, err := service.Revoke(ctx, issued.Credential.ID, issuance.Lost, "registrar")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(revoked.State, "because", revoked.Reason)
	// Output:
	// code for form qr
	// code for form strip
	// again: true
	// revoked because lost
}
