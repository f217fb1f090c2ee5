package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/cbor"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/cose"
	"github.com/sanad-id/sanad/qr"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
)

// notice stands before anything else that inspect prints.
const notice = "NOT VERIFIED"

func (p *program) inspectCommand() *cobra.Command {
	var o inspectOptions
	c := &cobra.Command{
		Use:   "inspect FILE|-...",
		Short: "Decode a certificate without checking it",
		Long: `inspect decodes what check accepts and shows what is inside. It checks nothing: whatever it shows may be forged.
That is why NOT VERIFIED comes first.`,
		Example: `  verifier inspect certificate.png
  verifier inspect --cbor code.txt
  verifier inspect --draw certificate.png
  verifier inspect --json - < code.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
				return cli.Hint(errors.New("no file to inspect"), "name a picture or text of a code, or - for standard input")
			}
			return nil
		},
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.inspect(cmd, args, o) }),
	}
	c.Flags().BoolVar(&o.diagnostic, "cbor", false, "also print the message in CBOR diagnostic notation")
	c.Flags().BoolVar(&o.draw, "draw", false, "also draw the code in the terminal")
	return c
}

// inspectOptions are the flags of inspect.
type inspectOptions struct{ diagnostic, draw bool }

// An inspection is what inspect found in one code. Its first members say what it
// is worth: nothing.
type inspection struct {
	Notice   string `json:"notice"`
	Verified bool   `json:"verified"`
	File     string `json:"file,omitempty"`
	Kind     string `json:"kind"`
	// Text is the text of a code that is no credential, such as a link.
	Text string `json:"text,omitempty"`
	// Problem says why no more could be decoded.
	Problem *problem `json:"problem,omitempty"`

	Format    credential.Format `json:"format,omitempty"`
	Signed    *bool             `json:"signed,omitempty"`
	Algorithm string            `json:"algorithm,omitempty"`
	KeyID     string            `json:"key_id,omitempty"`
	Issuer    string            `json:"issuer,omitempty"`
	Type      string            `json:"type,omitempty"`
	IssuedAt  string            `json:"issued_at,omitempty"`
	NotBefore string            `json:"not_before,omitempty"`
	Expires   string            `json:"expires,omitempty"`
	Status    *statusView       `json:"status,omitempty"`
	Holder    string            `json:"holder_key,omitempty"`
	// Typ, Claims, Hideable and Proof are those of an SD-JWT: Hideable says which
	// claims the holder need not show, Proof whether one by its key is there.
	Typ      string         `json:"typ,omitempty"`
	Claims   map[string]any `json:"claims,omitempty"`
	Hideable []sdjwt.Path   `json:"disclosures,omitempty"`
	Proof    *bool          `json:"holder_proof,omitempty"`
	Person   claimList      `json:"person,omitempty"`
	Fields   claimList      `json:"fields,omitempty"`
	Health   claimList      `json:"health,omitempty"`
	Other    claimList      `json:"other,omitempty"`
	// Shown is what the holder's key signed around a CWT, Chosen where disclosures
	// stand in it, and Withheld how many digests stay shut.
	Shown    *shownView `json:"shown,omitempty"`
	Chosen   []string   `json:"chosen,omitempty"`
	Withheld int        `json:"withheld,omitempty"`
	// Question is what a verifier asks, in place of a credential.
	Question *questionView `json:"question,omitempty"`
	CBOR     string        `json:"cbor,omitempty"`
	Payload  string        `json:"cbor_payload,omitempty"`

	code string // the text of the code, if there was one
}

type problem struct {
	Reason credential.Reason `json:"reason"`
	Detail string            `json:"detail,omitempty"`
}

type shownView struct {
	For      string `json:"for"`
	IssuedAt string `json:"issued_at,omitempty"`
	Expires  string `json:"expires,omitempty"`
	Nonce    string `json:"nonce,omitempty"`
}

type questionView struct {
	Verifier string  `json:"verifier"`
	Poster   bool    `json:"poster"`
	IssuedAt string  `json:"issued_at"`
	Expires  string  `json:"expires,omitempty"`
	Type     string  `json:"type"`
	Purpose  string  `json:"purpose,omitempty"`
	Claims   []int64 `json:"person,omitempty"`
	Fields   []int64 `json:"fields,omitempty"`
}

type statusView struct {
	URI   string `json:"uri"`
	Index uint64 `json:"index"`
}

type claimList []claimView

type claimView struct {
	Key   int64  `json:"key"`
	Name  string `json:"name,omitempty"`
	Value any    `json:"value"`
}

func (p *program) inspect(cmd *cobra.Command, names []string, o inspectOptions) error {
	var all []inspection
	for _, name := range names {
		in, err := present(cmd, name)
		if err != nil {
			return cli.Hint(err, "check the name; - reads from standard input")
		}
		found := in.inspections(o.diagnostic)
		for i := range found {
			if len(names) > 1 {
				found[i].File = name
			}
		}
		all = append(all, found...)
	}
	out := cmd.OutOrStdout()
	var err error
	switch {
	case p.JSON && len(all) == 1:
		err = cli.PrintJSON(out, all[0])
	case p.JSON:
		err = cli.PrintJSON(out, all)
	default:
		for i, v := range all {
			if i > 0 {
				fmt.Fprintln(out)
			}
			v.text(out, cli.Width(out))
			if o.draw && err == nil {
				err = v.draw(out)
			}
		}
	}
	for _, v := range all {
		if err == nil && v.Problem != nil && v.Text == "" {
			err = cli.Exit(1)
		}
	}
	return err
}

// draw draws the code in the terminal.
func (v inspection) draw(out io.Writer) error {
	if v.code == "" {
		return cli.Hint(errors.New("there is no code to draw"), "--draw is for the text or the picture of a code")
	}
	code, err := image.Draw(v.code, image.L)
	if err != nil {
		return err
	}
	drawn := code.TerminalPlain()
	if cli.Colours(out) {
		drawn = code.Terminal()
	}
	_, err = io.WriteString(out, "\n"+drawn)
	return err
}

// inspections are one for each code of a picture, or one for anything else.
func (in presented) inspections(diagnostic bool) []inspection {
	if len(in.Codes) > 0 {
		var all []inspection
		for _, c := range in.Codes {
			all = append(all, inspectBytes([]byte(c), diagnostic))
		}
		return all
	}
	if in.Refused != nil {
		v := inspection{Notice: notice, Kind: in.Kind}
		v.refuse(in.Refused)
		return []inspection{v}
	}
	return []inspection{inspectBytes(in.Data, diagnostic)}
}

func (v *inspection) refuse(err error) {
	if rej, ok := errors.AsType[*credential.RejectedError](err); ok {
		v.Problem = &problem{rej.Reason, rej.Detail}
		return
	}
	v.Problem = &problem{credential.UnsupportedFormat, err.Error()}
}

func inspectBytes(b []byte, diagnostic bool) inspection {
	v := inspection{Notice: notice}
	if text := strings.TrimSpace(string(b)); qr.Recognise(text) != qr.Unknown {
		v.code = text
	}
	in, err := verification.Open(b)
	v.Kind = in.Kind
	if err != nil {
		v.refuse(err)
		v.Text = in.Text
		return v
	}
	if in.Kind == string(qr.SDJWT) {
		v.sdJWT(string(in.Message))
		return v
	}
	if diagnostic {
		v.CBOR, v.Payload = diagnose(in.Message)
	}
	if q, err := cwt.ParseQuestion(in.Message); err == nil {
		v.Question = &questionView{q.Verifier, q.Poster(), moment(q.IssuedAt), moment(q.Expires), q.Type, q.Purpose, q.Person, q.Fields}
		return v
	}
	t, err := cwt.Parse(in.Message)
	if err != nil {
		v.refuse(err)
		return v
	}
	v.Format, v.Signed, v.Algorithm, v.KeyID = t.Format, &t.Signed, string(t.Algorithm), hex.EncodeToString(t.KeyID)
	v.Issuer, v.Type = t.Issuer, t.Type
	v.IssuedAt, v.NotBefore, v.Expires = moment(t.IssuedAt), moment(t.NotBefore), moment(t.Expires)
	if t.Status != nil {
		v.Status = &statusView{t.Status.URI, t.Status.Index}
	}
	if t.Holder != nil {
		v.Holder = t.Holder.ID().String()
	}
	if b := t.KeyBinding; b != nil {
		v.Shown = &shownView{b.Audience, moment(b.IssuedAt), moment(b.Expires), hex.EncodeToString(b.Nonce)}
	}
	for _, path := range t.Disclosures {
		v.Chosen = append(v.Chosen, path.String())
	}
	v.Withheld = t.Withheld
	v.Person, v.Fields, v.Health, v.Other = list(t.Person), list(t.Fields), list(t.Health), list(t.Other)
	return v
}

// sdJWT fills in what an SD-JWT says. What is wrong with its claims is shown beside
// them.
func (v *inspection) sdJWT(text string) {
	t, err := sdjwt.Parse(text)
	if err != nil {
		v.refuse(err)
		return
	}
	v.Format, v.Typ, v.Signed, v.Proof = credential.FormatSDJWT, t.Typ, &t.Signed, &t.Bound
	v.Algorithm, v.KeyID, v.Claims, v.Hideable = t.Algorithm, t.KeyID, t.Claims, t.Disclosures
	if t.Problem != nil {
		v.refuse(t.Problem)
		return
	}
	c := t.Credential
	v.Issuer, v.Type = c.Issuer, c.Type
	v.IssuedAt, v.NotBefore, v.Expires = moment(c.IssuedAt), moment(c.NotBefore), moment(c.Expires)
	if c.Status != nil {
		v.Status = &statusView{c.Status.URI, c.Status.Index}
	}
	if c.Holder != nil {
		v.Holder = c.Holder.ID().String()
	}
}

// hideable names the claims that the holder need not show, as paths.
func (v inspection) hideable() string {
	var all []string
	for _, p := range v.Hideable {
		var steps []string
		for _, step := range p {
			steps = append(steps, fmt.Sprint(step))
		}
		all = append(all, strings.Join(steps, "/"))
	}
	return strings.Join(all, ", ")
}

// diagnose is the message and its payload in diagnostic notation (RFC 8949
// section 8), each empty if it has none.
func diagnose(message []byte) (whole, payload string) {
	whole, err := cbor.Diagnose(message)
	if err != nil {
		return "", ""
	}
	if m, err := cose.ParseSign1(message); err == nil {
		if payload, err = cbor.Diagnose(m.Payload); err != nil {
			payload = ""
		}
	}
	return whole, payload
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func list(cs credential.Claims) claimList {
	var out claimList
	for _, c := range cs {
		out = append(out, claimView{c.Key, c.Name, verification.Plain(c.Value)})
	}
	return out
}

// text prints the inspection, the notice first.
func (v inspection) text(out io.Writer, total int) {
	fmt.Fprintf(out, "%s\nThis is only what it says of itself. Anybody can write that: use check.\n\n", v.Notice)
	var lines [][2]string
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, [2]string{name, cli.Visible(value)})
		}
	}
	add("file", v.File)
	add("kind", strings.ReplaceAll(v.Kind, "_", " "))
	add("text", v.Text)
	if v.Problem != nil {
		add("problem", strings.TrimSuffix(strings.ReplaceAll(string(v.Problem.Reason), "_", " ")+": "+v.Problem.Detail, ": "))
	}
	if v.Format != "" {
		add("format", string(v.Format))
		signed := "no, the signature is empty"
		if *v.Signed {
			signed = "claims to be, with " + v.Algorithm
			if v.Algorithm == "" {
				signed = "claims to be, with an algorithm that is not supported"
			}
		}
		add("signed", signed)
		add("key id", v.KeyID)
	}
	add("issuer", v.Issuer)
	add("type", v.Type)
	add("issued at", v.IssuedAt)
	add("not before", v.NotBefore)
	add("expires", v.Expires)
	if v.Status != nil {
		add("status", fmt.Sprintf("slot %d of %s", v.Status.Index, v.Status.URI))
	}
	add("holder's key", v.Holder)
	add("token type", v.Typ)
	if v.Proof != nil {
		add("holder's proof", map[bool]string{true: "claims to be there", false: "none"}[*v.Proof])
	}
	add("can be hidden", v.hideable())
	add("can be hidden", cli.Visible(strings.Join(v.Chosen, ", ")))
	if v.Withheld > 0 {
		add("left out", fmt.Sprintf("%d claims or decoys", v.Withheld))
	}
	if s := v.Shown; s != nil {
		add("shown to", cli.Visible(s.For))
		add("shown at", s.IssuedAt)
		add("good until", s.Expires)
		add("answers", s.Nonce)
	}
	if q := v.Question; q != nil {
		add("asks", map[bool]string{true: "a poster of ", false: "a question of "}[q.Poster]+cli.Visible(q.Verifier))
		add("asked at", q.IssuedAt)
		add("until", q.Expires)
		add("for", cli.Visible(q.Type))
		add("why", cli.Visible(q.Purpose))
		add("claims", strings.Trim(fmt.Sprint(q.Claims, q.Fields), "[]"))
	}
	rows(out, "  ", total, lines)
	if len(v.Claims) > 0 {
		fmt.Fprintf(out, "\nClaims\n")
		lines = nil
		for _, name := range slices.Sorted(maps.Keys(v.Claims)) {
			lines = append(lines, [2]string{cli.Visible(name), cli.Visible(explain.Plain(v.Claims[name]))})
		}
		rows(out, "  ", total, lines)
	}
	for _, g := range []struct {
		title  string
		claims claimList
	}{{"Person", v.Person}, {"Fields of the type", v.Fields}, {"Health certificate", v.Health}, {"Other claims", v.Other}} {
		if len(g.claims) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s\n", g.title)
		lines = nil
		for _, c := range g.claims {
			name := strings.TrimSpace(strconv.FormatInt(c.Key, 10) + " " + c.Name)
			lines = append(lines, [2]string{cli.Visible(name), cli.Visible(explain.Plain(c.Value))})
		}
		rows(out, "  ", total, lines)
	}
	for _, d := range []string{v.CBOR, v.Payload} {
		if d != "" {
			shown, _ := cli.CleanTo(d, len(d))
			fmt.Fprintf(out, "\n%s\n", shown)
		}
	}
}
