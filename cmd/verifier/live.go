package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
	"github.com/sanad-id/sanad/verification"
)

// nonceSize is the size of the nonce of a question: enough for two minutes, and small
// enough for a code that any phone reads.
const nonceSize = cwt.MinNonce

// questionOptions are the flags of challenge and poster.
type questionOptions struct {
	as, typeID, purpose, until string
	claims                     []string
	trust, out, state          string
}

func (o *questionOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.as, "as", "", "the `ID` under which the trust bundle names this verifier (required)")
	f.StringVar(&o.typeID, "type", "", "the credential `TYPE` that is asked for (required)")
	f.StringSliceVar(&o.claims, "claims", nil, "the `CLAIMS` that are asked for, by their names in the trust bundle")
	f.StringVar(&o.purpose, "purpose", "", "why, in a few `WORDS`")
	f.StringVar(&o.trust, "trust", "", "the trust bundle in `FILE` (default: the imported one)")
	f.StringVar(&o.out, "out", "", "write a picture (.png, .svg) or the text (.txt) of the code into `FILE`")
	_ = c.MarkFlagRequired("as")
	_ = c.MarkFlagRequired("type")
}

func (p *program) challengeCommand() *cobra.Command {
	var o questionOptions
	c := &cobra.Command{
		Use: "challenge --as ID --type TYPE --state FILE", Short: "Ask for a live code with a question on the screen", Args: cobra.NoArgs,
		Long: `challenge draws a question for a wallet to scan, and keeps in --state what the answer has to match. Show it to the person, have their phone
answer (wallet-cli qr --answer), and check the answer within two minutes:

  verifier challenge --as bank.xa-12 --type urn:xa:farmer:1 --claims full_name --state question.json
  verifier check --challenge question.json answer.png

The question is signed with the key of the settings, which the trust bundle lists for this verifier.`,
		Example: `  verifier challenge --as bank.xa-12 --type urn:xa:farmer:1 --claims full_name,birth_date --state question.json --out question.png`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			q := cwt.Question{Nonce: make([]byte, nonceSize)}
			if _, err := rand.Read(q.Nonce); err != nil {
				return err
			}
			return p.ask(cmd, o, q)
		}),
	}
	o.flags(c)
	c.Flags().StringVar(&o.state, "state", "", "keep what the answer has to match in `FILE` (required)")
	_ = c.MarkFlagRequired("state")
	return c
}

func (p *program) posterCommand() *cobra.Command {
	var o questionOptions
	c := &cobra.Command{
		Use: "poster --as ID --type TYPE --until DAY", Short: "Make the poster of a counter", Args: cobra.NoArgs,
		Long: `poster draws the code of a poster for a counter. Wallets that scan it make live codes for this counter alone, which --poster takes:

  verifier check --poster counter.png live.png

Whoever registers verifiers signs posters: with the key of these settings, which the trust bundle lists for the verifier.`,
		Example: `  verifier poster --as bank.xa-12 --type urn:xa:farmer:1 --claims full_name --purpose "Opening an account" --until 2027-12-31 --out counter.png`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			day, err := time.ParseInLocation(time.DateOnly, o.until, time.Local)
			if err != nil {
				return p.Misused(cli.Hint(fmt.Errorf("--until %q is not a day", o.until), "write it as 2027-12-31"))
			}
			return p.ask(cmd, o, cwt.Question{Expires: day.AddDate(0, 0, 1).UTC()})
		}),
	}
	o.flags(c)
	c.Flags().StringVar(&o.until, "until", "", "the last `DAY` of the poster (required)")
	_ = c.MarkFlagRequired("until")
	return c
}

// An asked question is what is kept until its answer comes.
type askedQuestion struct {
	Verifier string    `json:"verifier"`
	Nonce    string    `json:"nonce"`
	Asked    time.Time `json:"asked"`
}

// ask signs a question and shows its code.
func (p *program) ask(cmd *cobra.Command, o questionOptions, q cwt.Question) error {
	bundle, err := p.bundleFor(cmd, o.trust)
	if err != nil {
		return err
	}
	_, ks, k, err := p.openKeys(cmd.Context())
	if err != nil {
		return err
	}
	registered := false
	for _, v := range bundle.Verifiers {
		registered = registered || v.ID == o.as && slices.ContainsFunc(v.Keys, k.Public.Equal)
	}
	if !registered {
		cli.Say(cmd, "verifier: note: the trust bundle does not list key %s for %s; wallets will not answer until the registrar adds it (verifier keys public prints it)", k.ID(), cli.Visible(o.as))
	}
	q.Verifier, q.Type, q.Purpose, q.IssuedAt = o.as, o.typeID, o.purpose, p.Now().UTC().Truncate(time.Second)
	if q.Person, q.Fields, err = keysOfClaims(bundle, o.typeID, o.claims); err != nil {
		return p.Misused(err)
	}
	signer, err := ks.Signer(cmd.Context(), k.ID())
	if err != nil {
		return err
	}
	b, err := cwt.Ask(rand.Reader, q, signer)
	if err != nil {
		return err
	}
	text, err := qr.Encode(b)
	if err != nil {
		return err
	}
	code, err := image.Draw(text, image.L)
	if err != nil {
		return err
	}
	if o.state != "" {
		kept, err := json.Marshal(askedQuestion{q.Verifier, base64.RawURLEncoding.EncodeToString(q.Nonce), q.IssuedAt})
		if err == nil {
			err = durable.Replace(o.state, append(kept, '\n'), 0o600)
		}
		if err != nil {
			return err
		}
	}
	if o.out != "" {
		return writeCode(o.out, code, text)
	}
	return p.Print(cmd, map[string]any{"text": text, "version": code.Version()}, func(w io.Writer) { fmt.Fprint(w, code.Terminal()) })
}

// writeCode writes a code in the form that the name of the file asks for.
func writeCode(file string, code *image.Code, text string) error {
	var b []byte
	var err error
	switch strings.ToLower(filepath.Ext(file)) {
	case ".txt":
		b = []byte(text + "\n")
	case ".svg":
		b = code.SVG()
	default:
		b, err = code.PNG(8)
	}
	if err != nil {
		return err
	}
	return durable.Replace(file, b, 0o644)
}

// bundleFor is the bundle of a file, or the imported one.
func (p *program) bundleFor(cmd *cobra.Command, file string) (*trust.Bundle, error) {
	k, err := p.know(cmd, checkOptions{trust: file})
	if err != nil {
		return nil, err
	}
	if k.config.Trust == nil {
		return nil, cli.Hint(fmt.Errorf("no trust bundle: %s", k.config.TrustProblem), "give it with --trust FILE, or import it: verifier trust import FILE")
	}
	return k.config.Trust, nil
}

// keysOfClaims finds claims of a type by their names.
func keysOfClaims(b *trust.Bundle, typeID string, names []string) (person, fields []int64, err error) {
	t, ok := b.Type(typeID)
	if !ok {
		return nil, nil, fmt.Errorf("the trust bundle does not describe the type %q", typeID)
	}
	var known []string
	for _, f := range t.Fields {
		known = append(known, f.Name)
	}
	for _, name := range names {
		i := slices.Index(known, name)
		switch {
		case i < 0:
			return nil, nil, cli.Hint(fmt.Errorf("the type %q has no claim %q", typeID, name), "one of: %s", strings.Join(known, ", "))
		case t.Fields[i].Person:
			person = append(person, t.Fields[i].Key)
		default:
			fields = append(fields, t.Fields[i].Key)
		}
	}
	return person, fields, nil
}

// counterOptions are the flags of check for live codes.
type counterOptions struct {
	challenge, poster string
	as                []string
}

func (o *counterOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.challenge, "challenge", "", "take nothing but the answer to the question in `FILE`, which challenge kept")
	f.StringVar(&o.poster, "poster", "", "take nothing but a live code for the counter of the poster in `FILE`")
	f.StringArrayVar(&o.as, "as", nil, "`NAME` under which copies are made out to you; may be given again")
}

// counter is what these flags ask of a live code.
func (p *program) counter(cmd *cobra.Command, o counterOptions) (verification.Counter, error) {
	k := verification.Counter{Names: o.as}
	switch {
	case o.challenge != "" && o.poster != "":
		return k, p.Misused(errors.New("--challenge and --poster exclude each other"))
	case o.challenge != "":
		b, err := readAll(cmd, o.challenge, 4<<10)
		if err != nil {
			return k, err
		}
		var q askedQuestion
		if err := json.Unmarshal(b, &q); err != nil {
			return k, cli.Hint(fmt.Errorf("%s is not a question that was asked", o.challenge), "verifier challenge --state FILE writes it")
		}
		k.ID, k.Asked = q.Verifier, q.Asked
		if k.Nonce, err = base64.RawURLEncoding.DecodeString(q.Nonce); err != nil || len(k.Nonce) == 0 {
			return k, fmt.Errorf("%s is not a question that was asked", o.challenge)
		}
	case o.poster != "":
		in, err := present(cmd, o.poster)
		if err != nil {
			return k, err
		}
		if in.Refused != nil {
			return k, fmt.Errorf("poster %s: %w", o.poster, in.Refused)
		}
		opened, err := verification.Open(in.Data)
		if err != nil {
			return k, fmt.Errorf("poster %s: %w", o.poster, err)
		}
		q, err := cwt.ParseQuestion(opened.Message)
		if err != nil {
			return k, fmt.Errorf("poster %s: %w", o.poster, err)
		}
		if !q.Poster() {
			return k, fmt.Errorf("%s is a question and no poster", o.poster)
		}
		k.ID, k.Poster = q.Verifier, true
	}
	return k, nil
}

// shownName is the file of what was accepted within the last two minutes, in the folder
// of imported trust.
const shownName = "accepted"

// remember takes the memory of accepted codes up for a check, and returns how to keep it.
// It is of no use for a check at another time, and never stands in the way of one: a
// memory that cannot be read begins anew, and the person is told.
func (p *program) remember(cmd *cobra.Command, k *verification.Counter) (keep func()) {
	dir, err := p.home()
	if err != nil {
		return func() {}
	}
	file := filepath.Join(dir, shownName)
	k.Memory = new(verification.Memory)
	b, err := os.ReadFile(file)
	if err == nil {
		err = k.Memory.UnmarshalBinary(b)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		cli.Say(cmd, "verifier: note: codes that were accepted before are not known: %v", err)
	}
	before, _ := k.Memory.MarshalBinary()
	return func() {
		after, err := k.Memory.MarshalBinary()
		if err == nil && bytes.Equal(after, before) {
			return
		}
		if err == nil {
			err = os.MkdirAll(dir, 0o700)
		}
		if err == nil {
			err = durable.Replace(file, after, 0o600)
		}
		if err != nil {
			cli.Say(cmd, "verifier: note: that this code was accepted is not remembered: %v", err)
		}
	}
}

func (p *program) keysPublic() *cobra.Command {
	return &cobra.Command{
		Use: "public", Short: "Print the public key, for the registrar to list", Args: cobra.NoArgs,
		Long:    "Prints the public key that signs requests, posters and questions as a JWK. The registrar lists it in the trust bundle (trust.verifiers.ID.keys).",
		Example: "  verifier keys public --config bank/verifier.yaml > bank.jwk",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			_, _, k, err := p.openKeys(cmd.Context())
			if err != nil {
				return err
			}
			return printKey(cmd.OutOrStdout(), k.Public)
		}),
	}
}

func printKey(w io.Writer, k keys.PublicKey) error {
	_, err := fmt.Fprintf(w, "%s\n", k.JWK())
	return err
}
