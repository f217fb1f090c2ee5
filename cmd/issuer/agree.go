package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
)

// Why one person confirms a restore alone. The audit log has the word.
const (
	aloneNoConsole   = "no-console"  // there are no people to ask
	aloneNoCards     = "no-cards"    // no two people have cards that are good
	aloneUnreachable = "unreachable" // who has a card cannot come
	aloneRehearsal   = "rehearsal"   // nothing of this will be used
)

var aloneReasons = []string{aloneNoConsole, aloneNoCards, aloneUnreachable, aloneRehearsal}

// maxCodes is how many codes are asked for before the command gives up.
const maxCodes = 6

// agreedMark stands in the audit entry of a restore before who agreed to it: operator
// and card, with a stroke between them.
const agreedMark = "; agreed by "

// An agreement is who confirms a restore: two people with cards, or one who said why.
type agreement struct {
	cards  []staff.RestoreCard
	people []staff.Operator
	alone  string
}

// reason is the code of it in the audit log.
func (g agreement) reason() string {
	if g.alone != "" {
		return "alone." + strings.ReplaceAll(g.alone, "-", "_")
	}
	return "two_people"
}

// detail are people and cards, by their ids, for the audit log.
func (g agreement) detail() string {
	if g.alone != "" {
		return ""
	}
	return agreedMark + g.people[0].ID + "/" + g.cards[0].ID + " " + g.people[1].ID + "/" + g.cards[1].ID
}

// cardsGiven are the ids of the cards that an audit entry of a restore names.
func cardsGiven(detail string) (cards []string) {
	_, who, _ := strings.Cut(detail, agreedMark)
	for one := range strings.FieldsSeq(who) {
		if _, card, ok := strings.Cut(one, "/"); ok {
			cards = append(cards, card)
		}
	}
	return cards
}

var (
	errSinceBackup = errors.New("since the backup the journal says something about this person, or about the card")
	errWho         = errors.New("two people have to confirm a restore, with their restore cards")
)

// agree asks who confirms what v says. Nothing was done yet.
func (a *app) agree(cmd *cobra.Command, o confirmOptions, v *confirmView) (g agreement, err error) {
	there, err := hasPeople(a.cfg)
	if err != nil {
		return g, err
	}
	if !there {
		if o.alone && o.reason != aloneNoCards {
			return agreement{alone: o.reason}, nil
		}
		return g, cli.Hint(fmt.Errorf("%w, and this issuer has no console", errWho), "--alone --reason %s, which the audit log keeps", aloneNoConsole)
	}
	db, err := openPeople(cmd.Context(), a.cfg)
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	t := cardTable{app: a, db: db, v: v}
	can, err := t.canAgree(cmd.Context())
	switch {
	case err != nil:
		return g, err
	case o.alone && (o.reason == aloneNoConsole || o.reason == aloneNoCards && can):
		return g, cli.Hint(fmt.Errorf("--reason %s is not so", o.reason), "ask two people for their cards, or say --reason %s", aloneUnreachable)
	case o.alone:
		return agreement{alone: o.reason}, nil
	case !can:
		return g, cli.Hint(fmt.Errorf("%w, and no two of them have cards that are good here", errWho), "--alone --reason %s, which the audit log keeps", aloneNoCards)
	case len(o.approvals) > 0:
		g, err = t.read(cmd.Context(), o)
	default:
		g, err = t.ask(cmd)
	}
	if err != nil {
		return g, err
	}
	var ids []string
	for _, c := range g.cards {
		ids = append(ids, c.ID)
	}
	return g, db.UseRestoreCards(cmd.Context(), ids, a.store.Epoch(), a.now())
}

// A cardTable is where two people put their cards.
type cardTable struct {
	app *app
	db  *people.DB
	v   *confirmView
}

// canAgree reports whether there are two people whose cards are good together.
func (t cardTable) canAgree(ctx context.Context) (bool, error) {
	cards, holders, err := t.db.RestoreCards(ctx, t.app.store.Epoch())
	if err != nil {
		return false, err
	}
	var good []staff.Operator
	for i, c := range cards {
		if !c.Used.IsZero() {
			holders[i].Standing = staff.Active // see CheckRestoreCard
		}
		if t.v.people.may(holders[i].ID, c.ID) {
			good = append(good, holders[i])
		}
	}
	return staff.CheckRestorers(good) == nil, nil
}

// cardWarning says what the restore cards of this console lack for the bad day, or "".
func (a *app) cardWarning(ctx context.Context) (string, error) {
	there, err := hasPeople(a.cfg)
	if err != nil || !there || !a.cfg.Console.Enabled {
		return "", err
	}
	db, err := openPeople(ctx, a.cfg)
	if err != nil {
		return "", err
	}
	_, holders, err := db.RestoreCards(ctx, people.NoRestore)
	if err := errors.Join(err, db.Close()); err != nil {
		return "", err
	}
	const then = "in the console, My account; then make a backup, since a card works with backups that are newer than it"
	switch err := staff.CheckRestorers(holders); {
	case errors.Is(err, staff.ErrNoRestorer):
		return "no administrator has a good restore card, so no two people could confirm a restore: an administrator makes one " + then, nil
	case err != nil:
		return "fewer than two people have a good restore card, so no two could confirm a restore: heads of offices and administrators make them " + then, nil
	}
	return "", nil
}

// put takes one more card.
func (t cardTable) put(ctx context.Context, g *agreement, typed string) error {
	code, err := staff.ParseCardCode(typed)
	if err != nil {
		return err
	}
	card, op, err := t.db.CheckRestoreCard(ctx, code, t.app.store.Epoch())
	switch {
	case err != nil:
		return err
	case !t.v.people.may(op.ID, card.ID):
		return errSinceBackup
	case !op.May(staff.ApproveRestore, staff.Proposed):
		return staff.ErrMayNot
	case len(g.people) == 1:
		if err := staff.CheckRestore(g.people[0], op); err != nil {
			return err
		}
	}
	g.cards, g.people = append(g.cards, card), append(g.people, op)
	return nil
}

// read takes the codes from two files, and what was agreed to from the command line.
func (t cardTable) read(ctx context.Context, o confirmOptions) (g agreement, err error) {
	if o.digest != hex.EncodeToString(t.v.digest[:]) {
		return g, cli.Hint(errors.New("what would be done now is not what these people were shown"), "--check shows it, and its digest, anew")
	}
	for _, path := range o.approvals {
		code, err := readLine(path, "restore card")
		if err != nil {
			return g, err
		}
		if err := t.put(ctx, &g, code); err != nil {
			return g, explainCard(fmt.Errorf("%s: %w", path, err))
		}
	}
	return g, nil
}

// ask shows two people what they agree to and lets them type their codes.
func (t cardTable) ask(cmd *cobra.Command) (g agreement, err error) {
	f, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return g, cli.Hint(fmt.Errorf("%w, and there is no terminal to ask for them", errWho),
			"--approval FILE twice with the codes, and --digest with what --check showed; or --alone --reason WORD")
	}
	out := cmd.ErrOrStderr()
	fmt.Fprintf(out, "this is what would be done:\n%s\n", t.v.plan)
	for tries := 0; len(g.people) < 2; tries++ {
		if tries == maxCodes {
			return g, cli.Hint(errors.New("too many wrong codes"), "give the command again; ten wrong codes end a card")
		}
		fmt.Fprintf(out, "code of restore card %d of 2: ", len(g.people)+1)
		code, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(out)
		if err != nil {
			return g, err
		}
		if err := t.put(cmd.Context(), &g, string(code)); err != nil {
			if !cardRefused(err) {
				return g, err
			}
			fmt.Fprintln(out, err)
			continue
		}
		fmt.Fprintf(out, "%s agrees\n", cli.Visible(g.people[len(g.people)-1].Name))
	}
	return g, nil
}

// cardErrors are why a card is refused, with what to do.
var cardErrors = []struct {
	err  error
	hint string
}{
	{staff.ErrCardCode, "the code is 25 letters and digits, as the card has them"},
	{staff.ErrCard, "a card is good for the issuer that made it, until another takes its place or its holder is suspended"},
	{staff.ErrCardUsed, "a card is good for one restore"},
	{staff.ErrSamePerson, "ask somebody else for theirs"},
	{staff.ErrMayNot, "heads of offices and administrators can agree to a restore"},
	{staff.ErrNoRestorer, "two heads of offices are not enough"},
	{errSinceBackup, "who was suspended, got other rights or another card since the backup cannot agree to its restore"},
}

func cardRefused(err error) bool {
	for _, row := range cardErrors {
		if errors.Is(err, row.err) {
			return true
		}
	}
	return false
}

func explainCard(err error) error {
	for _, row := range cardErrors {
		if errors.Is(err, row.err) {
			return cli.Hint(err, "%s", row.hint)
		}
	}
	return err
}

// checkAgreement looks at the flags that say who confirms.
func (o confirmOptions) checkAgreement() error {
	switch {
	case o.alone && (len(o.approvals) > 0 || o.digest != ""), !o.alone && o.reason != "":
		return cli.Hint(errors.New("one person or two?"), "--approval FILE twice with --digest, or --alone --reason WORD")
	case o.alone && !slices.Contains(aloneReasons, o.reason):
		return cli.Hint(errors.New("why alone?"), "--reason %s", strings.Join(aloneReasons, ", "))
	case len(o.approvals) != 0 && len(o.approvals) != 2, (len(o.approvals) == 0) != (o.digest == ""):
		return cli.Hint(errors.New("two people, and what they were shown"), "--approval FILE twice, and --digest with what --check showed")
	}
	return nil
}
