package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential/cwt"
	"github.com/sanad-id/sanad/credential/sdjwt"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/oid4vp"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/wallet"
)

// redraw is how long a live code is shown before the next one: it is good for a minute,
// so that whoever begins to scan at its end still has time.
const redraw = 25 * time.Second

// qrOptions are the flags of qr.
type qrOptions struct {
	claims               []string
	live                 bool
	poster, answer       string
	recipient, until, to string
	last                 time.Time // of until
}

func (p *program) qrCommand() *cobra.Command {
	var o qrOptions
	c := &cobra.Command{
		Use: "qr ID [--live] | qr --poster FILE | qr --answer FILE", Short: "Show a credential as a code, on its own or with a proof that you hold it", Args: cobra.MaximumNArgs(1),
		Long: `qr draws a code with the claims that you name and those that are always shown. Whoever scans it can check the issuer's signature, but
not that you are the holder: a copy of the code is as good.

A card (a credential made for codes) can be shown with such a proof:

  --live          a code for whoever stands before you. It is good for a minute and drawn anew every 25 seconds.
  --poster FILE   the same for the counter whose poster you photographed, and nobody else.
  --answer FILE   the answer to the question on a verifier's screen, good for two minutes after it was asked.
  --for, --until  a copy made out to one recipient, until a date: useless to anybody else.

A poster or a question says who asks, what and why; you are asked before anything is shown. Into a file, a pipe, or with --json
goes one picture or text, good for as long as its kind is.`,
		Example: `  wallet-cli qr 01ng --claims name,class
  wallet-cli qr 01ng --live
  wallet-cli qr --poster counter.png
  wallet-cli qr --answer question.png --out answer.png
  wallet-cli qr 01ng --for "Janata Bank Jessore" --until 2026-12-31 --out copy.png`,
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			if err := o.check(p, args); err != nil {
				return err
			}
			if o.poster != "" || o.answer != "" {
				return p.answerQuestion(cmd, w, o)
			}
			return p.showCode(cmd, w, args[0], o)
		}),
	}
	f := c.Flags()
	f.StringSliceVar(&o.claims, "claims", nil, "the `CLAIMS` to show beside those that are always shown")
	f.StringVar(&o.to, "out", "", "write a picture (.png, .svg) or the text (.txt) of the code into `FILE`")
	f.BoolVar(&o.live, "live", false, "prove that you hold it, to whoever scans it now")
	f.StringVar(&o.poster, "poster", "", "prove it to the counter of the poster in `FILE`, a picture or its text")
	f.StringVar(&o.answer, "answer", "", "answer the question in `FILE`, a picture or its text")
	f.StringVar(&o.recipient, "for", "", "make the copy out to this `NAME`")
	f.StringVar(&o.until, "until", "", "the last `DAY` on which the copy is good (2026-12-31)")
	p.consent(c, "verifiers")
	return c
}

// check refuses flags that do not go together.
func (o *qrOptions) check(p *program, args []string) error {
	ways := 0
	for _, given := range []bool{o.live, o.poster != "", o.answer != "", o.recipient != "" || o.until != ""} {
		if given {
			ways++
		}
	}
	question := o.poster != "" || o.answer != ""
	switch {
	case ways > 1:
		return p.Misused(errors.New("--live, --poster, --answer and --for exclude each other"))
	case question && (len(args) > 0 || len(o.claims) > 0):
		return p.Misused(cli.Hint(errors.New("a poster or a question says what it asks for"), "leave the id and --claims out"))
	case !question && len(args) == 0:
		return p.Misused(cli.Hint(errors.New("which credential?"), "wallet-cli list shows the ids; the beginning of one is enough"))
	case (o.recipient == "") != (o.until == ""):
		return p.Misused(cli.Hint(errors.New("--for and --until belong together"), "a copy is for somebody and until a day"))
	case o.until == "":
		return nil
	}
	day, err := time.ParseInLocation(time.DateOnly, o.until, time.Local)
	if err != nil {
		return p.Misused(cli.Hint(fmt.Errorf("--until %q is not a day", o.until), "write it as 2026-12-31"))
	}
	o.last = day.AddDate(0, 0, 1).UTC()
	return nil
}

// showCode shows a credential of the person's choice.
func (p *program) showCode(cmd *cobra.Command, w *wallet.Wallet, id string, o qrOptions) error {
	h, err := get(w, id)
	if err != nil {
		return err
	}
	a, err := p.agent(w)
	if err != nil {
		return err
	}
	i := h.Fresh()
	switch {
	case o.live:
		return p.draw(cmd, w, &h, i, showing{party: "in person", claims: o.claims, again: true, of: func(at time.Time) (string, error) {
			return a.LiveCode(&h, i, o.claims, cwt.Proof{Audience: cwt.AudienceInPerson, IssuedAt: at})
		}}, o)
	case o.recipient != "":
		return p.draw(cmd, w, &h, i, showing{party: o.recipient, claims: o.claims, of: func(at time.Time) (string, error) {
			return a.LiveCode(&h, i, o.claims, cwt.Proof{Audience: o.recipient, IssuedAt: at, Expires: o.last})
		}}, o)
	}
	return p.draw(cmd, w, &h, i, showing{party: "qr", claims: o.claims, of: func(time.Time) (string, error) {
		if h.Card() {
			return h.Code(i, o.claims)
		}
		return static(h, o.claims)
	}}, o)
}

// answerQuestion shows what a poster or a question asks for, once the person agrees.
func (p *program) answerQuestion(cmd *cobra.Command, w *wallet.Wallet, o qrOptions) error {
	words, err := p.Language()
	if err != nil {
		return err
	}
	a, err := p.agent(w)
	if err != nil {
		return err
	}
	file := o.poster
	if file == "" {
		file = o.answer
	}
	text, err := codeIn(cmd, file)
	if err != nil {
		return err
	}
	q, err := a.Question(text)
	if err != nil {
		return err
	}
	if q.Poster != (o.poster != "") {
		return p.Misused(cli.Hint(errors.New("that is the other kind of question"), "a poster on the wall is for --poster, a question on a screen for --answer"))
	}
	showAsking(cmd.ErrOrStderr(), q, words)
	if p.yes && q.Verifier.Vouched == wallet.ByNobody && !p.unknown {
		return p.Misused(cli.Hint(errors.New("nobody vouches for this verifier"), "import the trust bundle that names it (wallet-cli trust import FILE), or give --allow-unknown if you are sure"))
	}
	yes, err := p.agreed(cmd, words.Text("wallet.ask.show", nil))
	if err != nil {
		return err
	}
	if !yes {
		cli.Say(cmd, "%s", words.Text("wallet.done.not_shown", nil))
		return cli.Exit(statusDeclined)
	}
	return p.draw(cmd, w, q.Card, q.Copy, showing{
		party: q.Verifier.ID, name: words.Pick(q.Verifier.Names), anchor: q.Verifier.Anchor, purpose: q.Purpose, claims: q.Names(), again: q.Poster,
		of: func(at time.Time) (string, error) { return a.LiveCode(q.Card, q.Copy, q.Names(), q.Proof(at)) },
	}, o)
}

// showAsking shows who asks, what and why.
func showAsking(out io.Writer, q *wallet.Asking, words i18n.Language) {
	fact(out, words, "who", party(q.Verifier, words)...)
	fact(out, words, "why", first(cli.Visible(q.Purpose), words.Text("wallet.said.silent", nil)))
	lines := []string{name(words, q.Card.Names, q.Type)}
	for _, c := range q.Claims {
		lines = append(lines, "- "+name(words, c.Labels, c.Name))
	}
	fact(out, words, "what", append(lines, words.Text("wallet.said.always_shown", nil))...)
}

// codeIn is the text of the code in a file: a picture, or the text itself.
func codeIn(cmd *cobra.Command, file string) (string, error) {
	b, err := readAll(cmd, file, image.MaxFile)
	if err != nil || !image.IsPicture(b) {
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), err
	}
	codes, err := image.Read(b)
	if err != nil {
		return "", cli.Hint(fmt.Errorf("%s: %w", file, err), "take a sharper picture, with the whole code and a white edge around it")
	}
	if len(codes) > 1 {
		return "", cli.Hint(fmt.Errorf("%s shows %d codes", file, len(codes)), "take a picture of one of them")
	}
	return codes[0], nil
}

// A showing is a code that is about to be shown.
type showing struct {
	party, name, anchor, purpose string
	claims                       []string
	// again says that it is drawn anew, Of makes it for a moment.
	again bool
	of    func(at time.Time) (string, error)
}

// draw notes that copy i is shown, and shows it: again and again on a terminal if it is
// a live code, else once.
func (p *program) draw(cmd *cobra.Command, w *wallet.Wallet, h *wallet.Held, i int, s showing, o qrOptions) error {
	now := func() time.Time { return p.Now().UTC().Truncate(time.Second) }
	at := now()
	text, err := s.of(at)
	if err != nil {
		return err
	}
	code, err := image.Draw(text, image.L)
	if errors.Is(err, image.ErrTooLong) {
		return cli.Hint(fmt.Errorf("%d characters are too many for a code", len(text)), "name fewer --claims, or ask the office for the code on paper, which is made for that")
	} else if err != nil {
		return err
	}
	// It counts as shown before it is.
	h.Copies[i].Shown++
	if err := w.Put(*h); err != nil {
		return err
	}
	if err := w.Note(wallet.Entry{
		At: at, Deed: wallet.Presented, Credential: h.ID, Type: h.Type, Party: s.party, Name: s.name, Anchor: s.anchor, Purpose: s.purpose,
		Claims: append([]string{}, s.claims...),
	}); err != nil {
		return err
	}
	if o.to != "" {
		b, err := picture(code, text, o.to)
		if err != nil {
			return err
		}
		return durable.Replace(o.to, b, 0o600)
	}
	if out := cmd.OutOrStdout(); s.again && !p.JSON && cli.IsTerminal(out) {
		seconds := time.NewTicker(time.Second)
		defer seconds.Stop()
		r := rotation{out: out, now: now, tick: seconds.C, draw: func(at time.Time) (string, error) {
			text, err := s.of(at)
			if err != nil {
				return "", err
			}
			code, err := image.Draw(text, image.L)
			if err != nil {
				return "", err
			}
			return code.Terminal(), nil
		}}
		return r.run(cmd.Context())
	}
	view := map[string]any{"text": text, "version": code.Version()}
	if s.again {
		view["good_until"] = at.Add(time.Minute).Format(time.RFC3339)
	}
	return p.Print(cmd, view, func(out io.Writer) { fmt.Fprint(out, code.Terminal()) })
}

// picture is the code in the form that the name of a file asks for.
func picture(code *image.Code, text, file string) ([]byte, error) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".txt":
		return []byte(text + "\n"), nil
	case ".svg":
		return code.SVG(), nil
	}
	return code.PNG(4)
}

// A rotation draws a live code anew until somebody ends it.
type rotation struct {
	out  io.Writer
	now  func() time.Time
	tick <-chan time.Time
	draw func(at time.Time) (string, error)
}

// The terminal: to the top left and everything cleared, and the line cleared.
const (
	clearScreen = "\x1b[H\x1b[2J"
	clearLine   = "\r\x1b[K"
)

// run draws until the context ends, which is how a person ends it (Ctrl-C).
func (r rotation) run(ctx context.Context) error {
	var drawn time.Time
	for {
		now := r.now()
		if age := now.Sub(drawn); drawn.IsZero() || age >= redraw || age < 0 {
			code, err := r.draw(now)
			if err != nil {
				return err
			}
			fmt.Fprint(r.out, clearScreen, code)
			drawn = now
		}
		fmt.Fprintf(r.out, "%sA new code in %d s. End with Ctrl-C.", clearLine, (redraw-now.Sub(drawn))/time.Second)
		select {
		case <-ctx.Done():
			// Nothing that could still be scanned stays behind.
			fmt.Fprint(r.out, clearScreen)
			return nil
		case <-r.tick:
		}
	}
}

// static is a presentation without a proof by the holder.
func static(h wallet.Held, claims []string) (string, error) {
	text := h.Copies[h.Fresh()].Credential
	parsed, err := sdjwt.Parse(text)
	if err != nil {
		return "", err
	}
	var paths []sdjwt.Path
	for _, want := range claims {
		i := slices.IndexFunc(parsed.Disclosures, func(d sdjwt.Path) bool { return oid4vp.PathText(d) == want })
		if i < 0 {
			var all []string
			for _, d := range parsed.Disclosures {
				all = append(all, oid4vp.PathText(d))
			}
			return "", cli.Hint(fmt.Errorf("the credential has no claim %q to choose", want), "one of: %s", strings.Join(all, ", "))
		}
		paths = append(paths, parsed.Disclosures[i])
	}
	return sdjwt.Present(text, paths...)
}
