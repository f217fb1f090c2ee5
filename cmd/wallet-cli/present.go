package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/credential"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/wallet"
)

func (p *program) presentCommand() *cobra.Command {
	var with []string
	c := &cobra.Command{
		Use: "present REQUEST|-", Short: "Answer a request with what you choose to show", Args: cobra.ExactArgs(1),
		Long: `present reads a request, the link behind a code or button of a verifier, and shows who asks, on whose word, what, why and how
long it is kept. What the verifier can do without is left out unless you name it with --with, and so are all but one of several
credentials that would do: name the other by its ID. Then it asks you; if you say no and hold another that would do, it asks which before
the verifier hears that it gets nothing. With --yes the first that you accepted is shown.`,
		Example: `  wallet-cli present "openid4vp://?client_id=x509_hash%3A...&request_uri=https%3A%2F%2Flibrary.example%2Frequest%2F7"
  wallet-cli present --with village REQUEST
  wallet-cli present --with 01ng8q REQUEST
  wallet-cli present --yes --passphrase-file pass.txt --json - < request.txt`,
		RunE: p.with(func(cmd *cobra.Command, w *wallet.Wallet, args []string) error {
			return p.present(cmd, w, args[0], with)
		}),
	}
	c.Flags().StringSliceVar(&with, "with", nil, "also show these optional `CLAIMS`, or the credential of this name or ID, beside the others if it is optional, else in place of the other that would do")
	p.consent(c, "verifiers")
	return c
}

func (p *program) present(cmd *cobra.Command, w *wallet.Wallet, arg string, with []string) error {
	words, err := p.Language()
	if err != nil {
		return err
	}
	request, err := link(cmd, arg)
	if err != nil {
		return err
	}
	a, err := p.agent(w)
	if err != nil {
		return err
	}
	q, err := a.Inquire(cmd.Context(), request)
	if err != nil {
		return p.complain(cmd, a, err, words)
	}
	known, err := p.readings()
	if err != nil {
		return err
	}
	choices, chooseErr := choose(q, with)
	showInquiry(cmd.ErrOrStderr(), q, choices, known, words)
	if chooseErr != nil && q.Possible {
		return chooseErr
	}
	if p.yes && q.Verifier.Vouched == wallet.ByNobody && !p.unknown {
		return p.Misused(cli.Hint(errors.New("nobody vouches for this verifier"), "import the root that certifies it (wallet-cli trust root FILE), or give --allow-unknown if you are sure"))
	}
	question := words.Text("wallet.ask.show", nil)
	if !q.Possible {
		question = words.Text("wallet.ask.decline", nil)
	}
	choices, yes, err := settle(cmd, q, choices, known, words, func() (bool, error) { return p.agreed(cmd, question) })
	if err != nil {
		return err
	}
	if !yes || !q.Possible {
		if !q.Possible && !yes {
			return chooseErr
		}
		next, err := a.Decline(cmd.Context(), q)
		told(cmd, next, err, words)
		if !q.Possible {
			return chooseErr
		}
		cli.Say(cmd, "%s", words.Text("wallet.done.not_shown", nil))
		return cli.Exit(statusDeclined)
	}
	next, err := a.Present(cmd.Context(), q, choices)
	if err != nil {
		return err
	}
	return p.Print(cmd, map[string]any{"presented": choices, "verifier": q.Verifier, "redirect_uri": next}, func(out io.Writer) {
		fmt.Fprintln(out, words.Text("wallet.done.shown", nil))
		if next != "" {
			fmt.Fprintln(out, goOn(next, words))
		}
	})
}

// settle asks whether choices are shown. Whoever says no and holds others that would do is asked
// for one of them before that is the answer, and sees it as it would be shown.
func settle(cmd *cobra.Command, q *wallet.Inquiry, choices []wallet.Choice, known reading, words i18n.Language, agreed func() (bool, error)) ([]wallet.Choice, bool, error) {
	for {
		yes, err := agreed()
		if err != nil || yes || !q.Possible {
			return choices, yes, err
		}
		others := instead(q, choices)
		if len(others) == 0 {
			return choices, false, nil
		}
		for i, o := range others {
			showOption(cmd.ErrOrStderr(), *o.option, words.Number(i+1)+". "+name(words, o.option.Names, o.option.Type)+" "+o.option.Credential, nil, known, words)
		}
		typed := cli.Answer(cmd, words.Text("wallet.ask.which", nil))
		i := slices.IndexFunc(others, func(o other) bool {
			n := slices.Index(others, o) + 1
			return typed == strconv.Itoa(n) || typed == words.Number(n)
		})
		if i < 0 {
			return choices, false, nil
		}
		choices = others[i].in(q, choices)
		fmt.Fprintln(cmd.ErrOrStderr())
		showInquiry(cmd.ErrOrStderr(), q, choices, known, words)
	}
}

// other is a credential of the wallet that can be shown in place of what was chosen.
type other struct {
	query  string
	option *wallet.Option
}

// instead are all credentials that would do alone and were not chosen so: for what was chosen,
// and for what the verifier takes in its place.
func instead(q *wallet.Inquiry, choices []wallet.Choice) []other {
	var all []other
	for _, ask := range q.Asks {
		var chosen []string
		for _, c := range choices {
			if c.Query == ask.Query {
				chosen = append(chosen, c.Credential)
			}
		}
		if len(chosen) == 0 && !ask.Alternative {
			continue
		}
		for i := range ask.Options {
			if o := &ask.Options[i]; !slices.Equal(chosen, []string{o.Credential}) {
				all = append(all, other{ask.Query, o})
			}
		}
	}
	return all
}

// in is choices with the other one in place of what answered its query, or of the query that it
// is an alternative to. Claims that the person added stay where it has them.
func (o other) in(q *wallet.Inquiry, choices []wallet.Choice) []wallet.Choice {
	if !slices.ContainsFunc(choices, func(c wallet.Choice) bool { return c.Query == o.query }) {
		choices, _ = q.With(choices, o.query)
	}
	var out []wallet.Choice
	for _, c := range choices {
		switch {
		case c.Query != o.query:
			out = append(out, c)
		case !slices.ContainsFunc(out, func(c wallet.Choice) bool { return c.Query == o.query }):
			with := slices.DeleteFunc(slices.Clone(c.With), func(path string) bool {
				return !slices.ContainsFunc(o.option.Optional, func(a wallet.AskedClaim) bool { return a.Path == path })
			})
			out = append(out, wallet.Choice{Query: o.query, Credential: o.option.Credential, With: with})
		}
	}
	return out
}

// complain tells a verifier why its request is refused, if the person agrees, and returns
// the refusal. In a script it takes what presenting takes.
func (p *program) complain(cmd *cobra.Command, a *wallet.Agent, refusal error, words i18n.Language) error {
	c := a.Complaint(refusal)
	if c == nil || p.yes && c.Verifier.Vouched == wallet.ByNobody && !p.unknown || !p.yes && !cli.IsTerminal(cmd.InOrStdin()) {
		return refusal
	}
	fact(cmd.ErrOrStderr(), words, "who", party(c.Verifier, words)...)
	yes, err := p.agreed(cmd, words.Text("wallet.ask.complain", nil))
	if err != nil || !yes {
		return errors.Join(err, refusal)
	}
	next, err := a.Complain(cmd.Context(), c)
	told(cmd, next, err, words)
	return refusal
}

// told says what came of telling a verifier that it gets nothing: where the person goes on,
// or that it was not told.
func told(cmd *cobra.Command, next string, err error, words i18n.Language) {
	switch {
	case err != nil:
		cli.Say(cmd, "wallet-cli: note: the verifier was not told: %s", cli.VisibleLines(err.Error()))
	case next != "":
		cli.Say(cmd, "%s", goOn(next, words))
	}
}

// goOn says where the verifier sends the person.
func goOn(address string, words i18n.Language) string {
	return words.Text("wallet.done.go_on", map[string]string{"address": cli.Visible(address)})
}

// choose is the least that answers, and what the person named beside it.
func choose(q *wallet.Inquiry, with []string) ([]wallet.Choice, error) {
	choices, err := q.Least()
	if err != nil {
		return nil, err
	}
	// First the credentials, then the claims of those that are chosen in the end.
	var claims []string
	for _, what := range with {
		chosen := slices.ContainsFunc(choices, func(c wallet.Choice) bool { return c.Query == what })
		if more, ok := q.With(choices, what); ok && !chosen {
			choices = more
			continue
		}
		claims = append(claims, what)
	}
	return chooseOf(q, choices, claims)
}

// chooseOf is choices with the credentials of the wallet and the claims that the person named.
func chooseOf(q *wallet.Inquiry, choices []wallet.Choice, claims []string) ([]wallet.Choice, error) {
	claims = slices.DeleteFunc(claims, func(what string) bool {
		more, ok := q.Take(choices, held(q, what))
		if ok {
			choices = more
		}
		return ok
	})
	for _, what := range claims {
		found := false
		for i, c := range choices {
			o := option(q, c)
			if o != nil && slices.ContainsFunc(o.Optional, func(c wallet.AskedClaim) bool { return c.Path == what }) {
				choices[i].With, found = append(choices[i].With, what), true
			}
		}
		if !found {
			return choices, &wallet.RefusedError{Reason: wallet.BadChoice, Detail: fmt.Sprintf("%q is not an optional part of this request", what)}
		}
	}
	return choices, nil
}

// option is what was chosen, as the request sees it; nil if it answers nothing.
func option(q *wallet.Inquiry, c wallet.Choice) *wallet.Option {
	for _, ask := range q.Asks {
		for i := range ask.Options {
			if ask.Query == c.Query && ask.Options[i].Credential == c.Credential {
				return &ask.Options[i]
			}
		}
	}
	return nil
}

// held is the id of the one credential among those that can answer that begins like this, ""
// if there is none, or several.
func held(q *wallet.Inquiry, beginning string) string {
	found := ""
	for _, ask := range q.Asks {
		for _, o := range ask.Options {
			switch {
			case beginning == "" || !strings.HasPrefix(o.Credential, beginning) || o.Credential == found:
			case found != "":
				return ""
			default:
				found = o.Credential
			}
		}
	}
	return found
}

// showInquiry shows the five facts.
func showInquiry(out io.Writer, q *wallet.Inquiry, choices []wallet.Choice, known reading, words i18n.Language) {
	silent := words.Text("wallet.said.silent", nil)
	fact(out, words, "who", party(q.Verifier, words)...)
	fact(out, words, "why", first(cli.Visible(words.Pick(q.Purpose)), silent))
	kept := silent
	if q.Kept != nil {
		kept = words.Text("wallet.said.not_kept", nil)
		if days := int(*q.Kept / (24 * time.Hour)); days > 0 {
			kept = words.Count("wallet.days", days)
		}
	}
	fact(out, words, "kept", kept)
	for _, ask := range q.Asks {
		var chosen []wallet.Choice
		for _, c := range choices {
			if c.Query == ask.Query {
				chosen = append(chosen, c)
			}
		}
		showAsk(out, ask, chosen, known, words)
	}
}

// showAsk shows one credential that is asked for: what is chosen of it, or what could be.
func showAsk(out io.Writer, ask wallet.Ask, chosen []wallet.Choice, known reading, words i18n.Language) {
	can := ""
	switch {
	case ask.Optional:
		can = " (" + named(words, "optional", ask.Query) + ")"
	case ask.Alternative && len(chosen) == 0 && len(ask.Options) > 0:
		can = " (" + named(words, "instead", ask.Query) + ")"
	}
	if len(ask.Options) == 0 {
		fact(out, words, "what", cli.Visible(strings.Join(ask.Types, " / "))+can+": "+words.Text("wallet.said.nothing_answers", nil))
		return
	}
	if len(chosen) == 0 {
		showOption(out, ask.Options[0], name(words, ask.Options[0].Names, ask.Options[0].Type)+can, nil, nil, words)
		return
	}
	// Whoever holds several that would do, such as those of two children, sees which it is.
	several := len(ask.Options) > 1
	if !several {
		known = nil
	}
	for _, o := range ask.Options {
		i := slices.IndexFunc(chosen, func(c wallet.Choice) bool { return c.Credential == o.Credential })
		title := name(words, o.Names, o.Type)
		if several {
			title += " " + o.Credential
		}
		switch {
		case i >= 0:
			showOption(out, o, title+can, chosen[i].With, known, words)
		case ask.Several:
			fact(out, words, "what", title+" ("+named(words, "not_shown", o.Credential)+")")
		default:
			fact(out, words, "what", title+" ("+named(words, "instead", o.Credential)+")")
		}
	}
}

// showOption shows what the verifier gets of a credential, with the values, as known reads
// them, if the person has several to choose from.
func showOption(out io.Writer, o wallet.Option, title string, with []string, known reading, words i18n.Language) {
	lines := []string{title}
	for _, c := range o.Claims {
		line := "- " + name(words, c.Labels, c.Path)
		if known != nil {
			line += ": " + words.List(inWords(c.Values, known(o.Type, c.Path), words))
		}
		lines = append(lines, line)
	}
	for _, c := range o.Optional {
		mark := named(words, "not_shown", c.Path)
		if slices.Contains(with, c.Path) {
			mark = words.Text("wallet.said.chosen", nil)
		}
		lines = append(lines, fmt.Sprintf("- %s (%s)", name(words, c.Labels, c.Path), mark))
	}
	for _, c := range o.Beside {
		lines = append(lines, fmt.Sprintf("- %s (%s)", name(words, c.Labels, c.Path), words.Text("wallet.said.beside", nil)))
	}
	if o.Fresh == 0 {
		lines = append(lines, words.Text("wallet.said.shown_before", nil))
	}
	fact(out, words, "what", lines...)
}

// inWords are values as the person reads them.
func inWords(values []any, f credential.TypeField, words i18n.Language) []string {
	var all []string
	for _, v := range values {
		all = append(all, reads(f, verification.Plain(v), words))
	}
	return all
}

// named is a sentence with a name in it.
func named(words i18n.Language, key, name string) string {
	return words.Text("wallet.said."+key, map[string]string{"name": cli.Visible(name)})
}

// fact writes a fact with its label; further lines stand below the first.
func fact(out io.Writer, words i18n.Language, label string, lines ...string) {
	const width = 12
	head := cli.Pad(words.Text("wallet.fact."+label, nil), width)
	for _, line := range lines {
		fmt.Fprintf(out, "%s%s\n", head, line)
		head = strings.Repeat(" ", width)
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
