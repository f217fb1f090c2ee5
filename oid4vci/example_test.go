package oid4vci_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/keystest"
	"github.com/sanad-id/sanad/oid4vci"
)

// An issuer offers a credential, and a wallet reads what it scanned.
func ExampleReader_OfferLink() {
	link, err := oid4vci.Offer{
		Issuer: "https://registry.example", Configurations: []string{"birth"},
		PreAuthorized: &oid4vci.PreAuthorizedGrant{Code: "yQ3…", TxCode: &oid4vci.TxCodeInput{Length: 6, Description: "It is on your receipt."}},
	}.Link(oid4vci.OfferScheme)
	if err != nil {
		fmt.Println(err)
		return
	}
	scanned, err := oid4vci.Reader{}.OfferLink(link)
	if err != nil {
		fmt.Println(err)
		return
	}
	o := scanned.Offer
	fmt.Println("from:", o.Issuer)
	fmt.Println("code:", o.PreAuthorized.TxCode.Description, o.PreAuthorized.TxCode.Length, "digits")
	fmt.Println("secret:", o.PreAuthorized.Code)
	where, err := oid4vci.WellKnown(o.Issuer, oid4vci.IssuerWellKnown)
	fmt.Println("next:", where, err)
	// Output:
	// from: https://registry.example
	// code: It is on your receipt. 6 digits
	// secret: (secret)
	// next: https://registry.example/.well-known/openid-credential-issuer <nil>
}

// What a party got wrong has a code of the standard and an HTTP status.
func ExampleParseTokenRequest() {
	_, err := oid4vci.ParseTokenRequest(url.Values{"grant_type": {string(oid4vci.AuthorizationCode)}, "code": {"c"}})
	e, _ := errors.AsType[*oid4vci.Error](err)
	fmt.Println(e.Status(oid4vci.AuthorizationServer), string(e.JSON()))
	// Output:
	// 400 {"error":"invalid_request","error_description":"no redirect_uri"}
}

// A wallet proves a key for one request, and the server finds which key it was.
func ExampleCheckDPoP() {
	t := &testing.T{} // the key of the example
	wallet := keystest.Signer(t, keys.Holder, keys.ES256, "wallet")
	now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	const url = "https://registry.example/oauth/token"
	proof, err := oid4vci.MakeDPoP(rand.Reader, wallet, oid4vci.DPoPRequest{Method: "POST", URL: url, Now: now})
	if err != nil {
		fmt.Println(err)
		return
	}
	expect := oid4vci.DPoPExpect{Method: "POST", URL: url, Now: now, MaxAge: time.Minute, Algorithms: []keys.Algorithm{keys.ES256}, At: oid4vci.AuthorizationServer}
	got, err := oid4vci.CheckDPoP([]string{proof}, expect)
	fmt.Println(got.Thumbprint == wallet.Key().Public.JWKThumbprint(), err)
	expect.Now = now.Add(2 * time.Minute)
	_, err = oid4vci.CheckDPoP([]string{proof}, expect)
	fmt.Println(err)
	// Output:
	// true <nil>
	// oid4vci: invalid_dpop_proof: dpop+jwt is too old
}
