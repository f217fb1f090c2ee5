package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/wallet"
)

// acceptOptions are the flags of accept.
type acceptOptions struct {
	txCode, claimCode         bool
	txCodeFile, claimCodeFile string
	browser                   bool
}

func (p *program) acceptCommand() *cobra.Command {
	var o acceptOptions
	c := &cobra.Command{
		Use: "accept OFFER|-", Short: "Take the credential that an office offers you", Args: cobra.ExactArgs(1),
		Long: `accept reads an offer, the link behind a code that an office gives you, asks the office about itself, shows who it is and
what you would get, and asks you. What comes is checked before it is kept.`,
		Example: `  wallet-cli accept "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Foffice.example%2Foffer%2F1"
  wallet-cli accept --tx-code OFFER
  wallet-cli accept --claim-code OFFER
  wallet-cli accept --yes --passphrase-file pass.txt --tx-code-file code.txt - < offer.txt`,
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error { return p.accept(cmd, w, args[0], o) }),
	}
	c.Flags().BoolVar(&o.txCode, "tx-code", false, "ask for the transaction code that the office told you (asked anyway if the offer needs one)")
	c.Flags().StringVar(&o.txCodeFile, "tx-code-file", "", "read the transaction code from `FILE`, which only you may read")
	c.Flags().BoolVar(&o.claimCode, "claim-code", false, "sign in with a claim code that you are asked for")
	c.Flags().StringVar(&o.claimCodeFile, "claim-code-file", "", "read the claim code from `FILE`, which only you may read")
	c.Flags().BoolVar(&o.browser, "browser", false, "sign in at the office with your browser")
	p.consent(c, "issuers")
	return c
}

func (p *program) accept(cmd *cobra.Command, w *wallet.Wallet, arg string, o acceptOptions) error {
	words, err := p.Language()
	if err != nil {
		return err
	}
	offer, err := link(cmd, arg)
	if err != nil {
		return err
	}
	a, err := p.agent(w)
	if err != nil {
		return err
	}
	proposal, err := a.Offer(cmd.Context(), offer)
	if err != nil {
		return err
	}
	showProposal(cmd.ErrOrStderr(), proposal, words)
	yes, err := p.agreed(cmd, words.Text("wallet.ask.accept", nil))
	if err != nil {
		return err
	}
	if !yes {
		cli.Say(cmd, "%s", words.Text("wallet.done.not_accepted", nil))
		return cli.Exit(statusDeclined)
	}
	grant, err := p.grant(cmd, a, proposal, o, words)
	if err != nil {
		return err
	}
	got, later, problem := a.Fetch(cmd.Context(), grant)
	if problem != nil && len(got)+len(later) == 0 {
		return problem
	}
	err = p.Print(cmd, map[string]any{"accepted": views(got, p.Now()), "pending": len(later)}, func(out io.Writer) {
		for _, h := range got {
			fmt.Fprintf(out, "%s  %s\n", h.ID, words.Text("wallet.kept.got", map[string]string{
				"name": name(words, h.Names, h.Type), "office": name(words, h.IssuerNames, h.Issuer), "copies": words.Number(len(h.Copies)),
			}))
		}
		for _, l := range later {
			key, args := "wallet.kept.later_now", map[string]string{"name": name(words, l.Names, l.Type)}
			if !l.NotBefore.IsZero() {
				key, args["time"] = "wallet.kept.later", words.DateTime(l.NotBefore.Local())
			}
			fmt.Fprintf(out, "%s  %s\n", l.ID, words.Text(key, args))
		}
	})
	if err == nil && problem != nil {
		err = cli.Exit(failed(cmd, words, problem))
	}
	return err
}

// txCodeQuestion asks for a transaction code with what the offer says of it; nil is an
// offer that asks for none.
func txCodeQuestion(t *oid4vci.TxCodeInput) string {
	if t == nil {
		return "Transaction code: "
	}
	what := "digits"
	if t.Mode == oid4vci.AnyText {
		what = "characters"
	}
	if t.Length > 0 {
		what = strconv.Itoa(t.Length) + " " + what
	}
	if t.Description != "" {
		what += "; " + cli.Visible(t.Description)
	}
	return "Transaction code (" + what + "): "
}

// grant takes the proposal up, by whichever way it has and the flags want.
func (p *program) grant(cmd *cobra.Command, a *wallet.Agent, proposal *wallet.Proposal, o acceptOptions, words i18n.Language) (*wallet.Grant, error) {
	if proposal.PreAuthorized && !o.claimCode && o.claimCodeFile == "" && !o.browser {
		code := ""
		if proposal.TxCode != nil || o.txCode || o.txCodeFile != "" {
			b, err := p.secret(cmd, o.txCodeFile, txCodeQuestion(proposal.TxCode), "--tx-code-file FILE")
			if err != nil {
				return nil, err
			}
			code = string(b)
		}
		return a.Redeem(cmd.Context(), proposal, code)
	}
	var claim []byte
	if o.claimCode || o.claimCodeFile != "" {
		var err error
		if claim, err = p.secret(cmd, o.claimCodeFile, "Claim code: ", "--claim-code-file FILE"); err != nil {
			return nil, err
		}
	} else if !o.browser {
		return nil, p.Misused(cli.Hint(errors.New("this offer is for who signs in"), "give --browser, or --claim-code if the office gave you a code"))
	}
	l, err := (&net.ListenConfig{}).Listen(cmd.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close() //nolint:errcheck // nothing was written to it
	in, err := a.SignIn(cmd.Context(), proposal, "http://"+l.Addr().String()+"/back")
	if err != nil {
		return nil, err
	}
	var query url.Values
	if claim != nil {
		query, err = p.typeClaim(cmd.Context(), in.URL, string(claim), "http://"+l.Addr().String()+"/back")
	} else {
		cli.Say(cmd, "%s\n\n    %s\n", words.Text("wallet.kept.sign_in", nil), cli.Visible(in.URL))
		query, err = comeBack(cmd.Context(), l, in.Answers)
	}
	if err != nil {
		return nil, err
	}
	return a.Finish(cmd.Context(), in, query)
}

// signInTime is how long the person may take in the browser.
const signInTime = 10 * time.Minute

// comeBack waits for the browser. Any website can have it send something here, which does not
// count.
func comeBack(ctx context.Context, l net.Listener, answers func(url.Values) bool) (url.Values, error) {
	got := make(chan url.Values, 1)
	s := &http.Server{ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/back" || !answers(r.URL.Query()) {
			http.NotFound(w, r)
			return
		}
		select {
		case got <- r.URL.Query():
		default: // only the first counts
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "Done. Go back to the terminal.\n")
	})}
	go func() { _ = s.Serve(l) }()
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	defer func() {
		ending, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer done()
		_ = s.Shutdown(ending) // the page is still on its way
	}()
	select {
	case query := <-got:
		return query, nil
	case <-ctx.Done():
		return nil, cli.Hint(errors.New("the browser did not come back"), "start again from the offer")
	}
}

// action is the form for the claim code on the page of Sanad's issuer.
var action = regexp.MustCompile(`<form method="post" action="([^"<>&]+)">\s*<label for="code">`)

// typeClaim does in place of a browser what a person does on the sign-in page of
// Sanad's issuer: it types the claim code. All of it happens on the one server; the
// address that the person is sent back to is never asked.
func (p *program) typeClaim(ctx context.Context, page, claim, back string) (url.Values, error) {
	c := p.client()
	cookies := map[string]string{}
	do := func(r fetch.Request) (fetch.Answer, error) {
		if r.Header == nil {
			r.Header = http.Header{}
		}
		var all []string
		for name, value := range cookies {
			all = append(all, name+"="+value)
		}
		if len(all) > 0 {
			r.Header.Set("Cookie", strings.Join(all, "; "))
		}
		answer, err := c.Do(ctx, r)
		for _, set := range (&http.Response{Header: answer.Header}).Cookies() {
			cookies[set.Name] = set.Value
		}
		return answer, err
	}
	for range 3 {
		answer, err := do(fetch.Request{Address: page})
		if err != nil {
			return nil, err
		}
		if to := answer.Header.Get("Location"); answer.Status == http.StatusSeeOther && to != "" {
			if page, err = sameServer(page, to); err != nil {
				return nil, err
			}
			continue
		}
		form := action.FindSubmatch(answer.Body)
		if answer.Status != http.StatusOK || form == nil {
			break
		}
		to, err := sameServer(page, string(form[1]))
		if err != nil {
			return nil, err
		}
		answer, err = do(fetch.Request{Method: http.MethodPost, Address: to, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
			Body: []byte(url.Values{"code": {claim}}.Encode())})
		if err != nil {
			return nil, err
		}
		location := answer.Header.Get("Location")
		u, err := url.Parse(location)
		if err != nil || !strings.HasPrefix(location, back+"?") {
			return nil, cli.Hint(errors.New("the issuer did not take the claim code"), "type it again as it stands on the paper; each works once")
		}
		return u.Query(), nil
	}
	return nil, cli.Hint(errors.New("the issuer has no page for claim codes that this program knows"), "use --browser")
}

// sameServer resolves an address, which must be on the server of the page.
func sameServer(page, to string) (string, error) {
	from, err := url.Parse(page)
	if err != nil {
		return "", err
	}
	u, err := from.Parse(to)
	if err != nil || u.Scheme != from.Scheme || u.Host != from.Host {
		return "", errors.New("the sign-in page sends elsewhere; use --browser")
	}
	return u.String(), nil
}

// showProposal shows what the person decides about.
func showProposal(out io.Writer, p *wallet.Proposal, words i18n.Language) {
	fact(out, words, "offer", party(p.Issuer, words)...)
	for _, c := range p.Credentials {
		fact(out, words, "get", name(words, c.Names, c.Type))
		var labels []string
		for _, claim := range c.Claims {
			labels = append(labels, name(words, claim.Labels, claim.Path))
		}
		if len(labels) > 0 {
			fact(out, words, "says", words.List(labels))
		}
	}
}

// party is who somebody is, and on whose word.
func party(p wallet.Party, words i18n.Language) []string {
	anchor := map[string]string{"anchor": cli.Visible(p.Anchor)}
	switch p.Vouched {
	case wallet.ByBundle:
		return []string{name(words, p.Names, p.ID) + ", " + cli.Visible(p.ID), words.Text("wallet.said.bundle", anchor)}
	case wallet.ByCertificate:
		return []string{name(words, p.Names, p.ID) + ", " + cli.Visible(p.ID), words.Text("wallet.said.certificate", anchor)}
	}
	unknown := words.Text("wallet.said.unknown", nil)
	if n := words.Pick(p.Said); n != "" {
		unknown += "; " + named(words, "calls", strconv.Quote(n))
	}
	return []string{cli.Visible(p.ID), unknown}
}

// name is what something is called in the person's language.
func name(words i18n.Language, names map[string]string, otherwise string) string {
	if n := words.Pick(names); n != "" {
		return cli.Visible(n)
	}
	return cli.Visible(otherwise)
}

func (p *program) fetchCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fetch", Short: "Ask again for credentials that were not ready", Args: cobra.NoArgs, Example: "  wallet-cli fetch",
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, _ []string) error {
			words, err := p.Language()
			if err != nil {
				return err
			}
			a, err := p.agent(w)
			if err != nil {
				return err
			}
			return p.fetch(cmd, w, a, words)
		}),
	}
	c.Flags().BoolVar(&p.unknown, "allow-unknown", false, "also deal with issuers that nobody vouches for")
	return c
}

// fetch asks for all that is pending. What goes wrong with one keeps no other from coming.
func (p *program) fetch(cmd *cobra.Command, w *wallet.Wallet, a *wallet.Agent, words i18n.Language) error {
	pending, err := w.Pending()
	if err != nil && len(pending) == 0 {
		return err
	}
	status := 0
	if err != nil {
		status = failed(cmd, words, err)
	}
	got, problems := []wallet.Held{}, []map[string]any{}
	for _, one := range pending {
		h, err := a.Poll(cmd.Context(), one)
		if h != nil {
			got = append(got, *h)
		}
		if err == nil {
			continue
		}
		cli.Say(cmd, "%s  %s", one.ID, name(words, one.Names, one.Type))
		status = max(status, failed(cmd, words, err))
		problem := map[string]any{"id": one.ID, "error": err.Error()}
		if r, ok := errors.AsType[*wallet.RefusedError](err); ok {
			problem = map[string]any{"id": one.ID, "refused": r.Reason, "detail": r.Detail}
		}
		problems = append(problems, problem)
	}
	left, err := w.Pending() // what was given up does not come any more
	if err != nil && status == 0 {
		return err
	}
	if len(pending) == 0 && status == 0 {
		cli.Say(cmd, "%s", words.Text("wallet.kept.nothing_waits", nil))
	}
	err = p.Print(cmd, map[string]any{"accepted": views(got, p.Now()), "pending": len(left), "problems": problems}, func(out io.Writer) {
		for _, h := range got {
			fmt.Fprintf(out, "%s  %s\n", h.ID, name(words, h.Names, h.Type))
		}
		if len(left) > 0 {
			fmt.Fprintln(out, words.Text("wallet.kept.waiting", map[string]string{"count": words.Number(len(left))}))
		}
	})
	if err == nil && status != 0 {
		err = cli.Exit(status)
	}
	return err
}
