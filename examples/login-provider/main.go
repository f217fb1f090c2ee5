// Command login-provider is an OpenID provider for trials: who signs in chooses who to be from a
// page, and is believed. scripts/demo-wallet.sh has it beside an issuer; a pilot puts the
// country's own provider in its place (serve.login of the issuer's settings).
//
//	go run ./examples/login-provider --listen 127.0.0.1:9090 --client civil-registry --secret-file secret \
//	    --redirect http://127.0.0.1:8080/oauth/callback --people examples/data/farmers.csv --name-column fullName
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sanad-id/sanad/internal/oidctest"
	"github.com/sanad-id/sanad/keys"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("login-provider: ", err)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:9090", "`ADDRESS` of this machine; no other is served")
	client := flag.String("client", "civil-registry", "client_id of the issuer, as in serve.login")
	secret := flag.String("secret-file", "", "`FILE` with its client_secret")
	redirect := flag.String("redirect", "", "where the browser goes back to: ISSUER/oauth/callback")
	people := flag.String("people", "", "CSV `FILE` of who can sign in; the first column is the id of the record")
	column := flag.String("name-column", "", "`COLUMN` of that file with the name")
	claim := flag.String("claim", "registry_id", "claim of ID tokens with the id of the record")
	most := flag.Int("most", 10, "how many of them the page shows")
	flag.Parse()
	host, _, err := net.SplitHostPort(*listen)
	if err != nil || net.ParseIP(host) == nil || !net.ParseIP(host).IsLoopback() {
		return errors.New("--listen must be an address of this machine, such as 127.0.0.1:9090: this provider believes everybody")
	}
	if *secret == "" || *redirect == "" || *people == "" {
		return errors.New("--secret-file, --redirect and --people are needed; see --help")
	}
	password, err := os.ReadFile(*secret)
	if err != nil {
		return err
	}
	who, err := read(*people, *column, *most)
	if err != nil {
		return fmt.Errorf("%s: %w", *people, err)
	}
	if len(who) == 0 {
		return fmt.Errorf("%s: there is nobody in it", *people)
	}
	key, err := signer()
	if err != nil {
		return err
	}
	p := oidctest.New(oidctest.Config{
		Issuer: "http://" + *listen, Client: oidctest.Client{ID: *client, Secret: strings.TrimSpace(string(password)), Redirect: *redirect}, Key: key, Claim: *claim, People: who,
	})
	log.Printf("an OpenID provider for trials at http://%s, with %d people who can sign in", *listen, len(who))
	server := &http.Server{Addr: *listen, Handler: p, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

// signer makes a key that lives as long as the program.
func signer() (keys.Signer, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := keys.NewPublicKey(keys.ES256, private.Public())
	if err != nil {
		return nil, err
	}
	return keys.NewSigner(keys.Key{Public: public}, private)
}

// read returns the first people of a file.
func read(path, column string, most int) ([]oidctest.Person, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows := csv.NewReader(f)
	head, err := rows.Read()
	if err != nil {
		return nil, err
	}
	at := slices.Index(head, column)
	if at < 0 {
		return nil, fmt.Errorf("no column %q; name the one with the names by -name-column: %s", column, strings.Join(head, ", "))
	}
	var all []oidctest.Person
	for len(all) < most {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		all = append(all, oidctest.Person{Record: row[0], Name: row[at]})
	}
	return all, nil
}
