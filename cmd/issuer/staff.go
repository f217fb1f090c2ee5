package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/staff"
	people "github.com/sanad-id/sanad/store/desk"
	"github.com/sanad-id/sanad/web/console"
)

func (p *program) staffCommand() *cobra.Command {
	return cli.Group("staff", "Look after the people of the console",
		`Whoever can run these commands has the server: they are for the first administrators, and for the day on which nobody can sign in any more.
Everything else about people is done in the console, by two of them.`,
		p.staffInvite(), p.staffList(), p.staffStanding("suspend", "Keep somebody out until it is lifted", staff.Suspended),
		p.staffStanding("resume", "Let somebody in again who was suspended", staff.Active),
		p.staffStanding("leave", "Keep somebody out for good, and end their links", staff.Left),
		p.staffRecover(), p.staffOffice(),
	)
}

// withPeople opens what the console keeps, and the issuer for its audit log.
func (p *program) withPeople(cmd *cobra.Command, do func(cfg Config, a *app, db *people.DB) error) error {
	a, err := p.open(cmd, readWrite)
	if err != nil {
		return err
	}
	defer a.close()
	db, err := openPeople(cmd.Context(), a.cfg)
	if err != nil {
		return err
	}
	return errors.Join(do(a.cfg, a, db), db.Close())
}

// deed writes a deed to the audit log, does it, and writes how it ended.
func (a *app) deed(ctx context.Context, action staff.Action, subject string, do func() error) error {
	note := issuance.Note{Kind: audit.OperatorIntended, Actor: a.actor, Action: string(action), Subject: subject}
	if err := a.service.Note(ctx, note); err != nil {
		return err
	}
	err := do()
	note.Kind = audit.OperatorDone
	if err != nil {
		note.Kind = audit.OperatorFailed
	}
	return errors.Join(err, a.service.Note(ctx, note))
}

// mainOffice is made when there is none yet: it sees all records.
const mainOffice = "main"

func (p *program) staffInvite() *cobra.Command {
	var name, office string
	var roles []string
	c := &cobra.Command{
		Use: "invite --name NAME --role ROLE", Short: "Make a link by which somebody joins the console", Args: cobra.NoArgs,
		Long: `Makes an account and prints a link. Whoever opens it first registers a passkey and is that person: hand it over yourself. It works once, for
three days; the one of the first administrator for one day.

Roles are clerk, approver, head, auditor and administrator. Administrators and auditors have no other role.`,
		Example: `  issuer staff invite --dir office --name "Amina Rahman" --role administrator
  issuer staff invite --dir office --name "Badru Ali" --role clerk --role approver --office north`,
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			if name == "" || len(roles) == 0 {
				return p.Misused(errors.New("--name and --role must be given"))
			}
			op := staff.Operator{ID: staff.NewID("op"), Name: name, Office: office, Made: p.Now()}
			for _, r := range roles {
				op.Roles = append(op.Roles, staff.Role(r))
			}
			if _, err := staff.CheckRoles(op.Roles); err != nil {
				return cli.Hint(err, "roles are clerk, approver, head, auditor, administrator; the last two stand alone")
			}
			return p.withPeople(cmd, func(cfg Config, a *app, db *people.DB) error {
				ctx := cmd.Context()
				if err := a.firstOffice(ctx, db, office); err != nil {
					return err
				}
				standings, _, err := db.People(ctx, p.Now())
				if err != nil {
					return err
				}
				kind := staff.InviteLink
				if standings[staff.Active] == 0 && len(op.Roles) == 1 && op.Roles[0] == staff.Administrator {
					kind = staff.FirstLink
				}
				secret, link := staff.NewInvitation(kind, p.Now())
				err = a.deed(ctx, staff.ChangePerson, op.ID, func() error { return db.Invite(ctx, op, link) })
				if errors.Is(err, staff.ErrNoOffice) {
					return cli.Hint(err, "--office names one by its id; `issuer staff office %s --name NAME` makes it", office)
				}
				if err != nil {
					return err
				}
				return p.printLink(cmd, cfg, op, secret, link)
			})
		}),
	}
	c.Flags().StringVar(&name, "name", "", "what colleagues call the person")
	c.Flags().StringArrayVar(&roles, "role", nil, "a `ROLE`; may be given several times")
	c.Flags().StringVar(&office, "office", mainOffice, "the `ID` of the office the person works for")
	return c
}

// firstOffice makes an office that sees everything if there is none at all.
func (a *app) firstOffice(ctx context.Context, db *people.DB, id string) error {
	all, err := db.Offices(ctx)
	if err != nil || len(all) > 0 || id != mainOffice {
		return err
	}
	return a.deed(ctx, staff.ChangeOffice, mainOffice, func() error {
		return db.SaveOffice(ctx, staff.Office{ID: mainOffice, Name: officeName(a.cfg.Issuer.Names["en"])})
	})
}

// officeName is the issuer's name as long as that of an office can be.
func officeName(name string) string {
	if r := []rune(name); len(r) > staff.MaxName {
		return string(r[:staff.MaxName])
	}
	return name
}

func (p *program) printLink(cmd *cobra.Command, cfg Config, op staff.Operator, secret string, link staff.Invitation) error {
	address := consoleOrigin(cfg) + console.Base + "/invitation/" + secret
	view := map[string]any{"operator": op.ID, "link": address, "expires": link.Expires.UTC().Format(time.RFC3339)}
	return p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintln(w, address)
		cli.Say(cmd, "for %s (%s); it works once, until %s. Hand it over yourself: whoever opens it first is that person", cli.Visible(op.Name), op.ID,
			link.Expires.UTC().Format("2006-01-02 15:04 UTC"))
		if !cfg.Console.Enabled {
			cli.Say(cmd, "the console is not enabled yet: set console.enabled in the settings")
		}
	})
}

func (p *program) staffList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List people, offices and roles", Args: cobra.NoArgs,
		Example: "  issuer staff list --dir office",
		RunE: p.Action(func(cmd *cobra.Command, _ []string) error {
			cfg, err := readConfig(p.settings())
			if err != nil {
				return err
			}
			db, err := openPeople(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			all, err := db.Operators(cmd.Context(), "")
			if err := errors.Join(err, db.Close()); err != nil {
				return err
			}
			type person struct {
				ID       string         `json:"id"`
				Name     string         `json:"name"`
				Office   string         `json:"office"`
				Roles    []staff.Role   `json:"roles"`
				Standing staff.Standing `json:"standing"`
				Seen     string         `json:"seen,omitempty"`
			}
			view := []person{}
			for _, op := range all {
				one := person{op.ID, op.Name, op.Office, op.Roles, op.Standing, ""}
				if !op.Seen.IsZero() {
					one.Seen = op.Seen.Format(time.RFC3339)
				}
				view = append(view, one)
			}
			none := "nobody works in the console yet; next: `issuer staff invite --name NAME --role administrator`"
			return p.PrintList(cmd, len(view), none, view, func(w io.Writer) {
				table(w, "ID|NAME|OFFICE|ROLES|STANDING|SEEN", func(add func(...string)) {
					for i, op := range all {
						add(op.ID, cli.Visible(op.Name), op.Office, strings.Join(texts(op.Roles), ", "), string(op.Standing), date(all[i].Seen))
					}
				})
			})
		}),
	}
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = string(w)
	}
	return out
}

func (p *program) staffStanding(use, short string, to staff.Standing) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
		Example: "  issuer staff list --dir office   # shows the ids\n  issuer staff " + use + " --dir office op-6n42t75q6ngxupvw",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			return p.withPeople(cmd, func(_ Config, a *app, db *people.DB) error {
				op, err := db.Operator(cmd.Context(), args[0])
				if err != nil {
					return cli.Hint(err, "`issuer staff list` shows the ids")
				}
				err = a.deed(cmd.Context(), staff.SuspendPerson, op.ID, func() error { return db.SetStanding(cmd.Context(), op.ID, to) })
				if err != nil {
					return err
				}
				return p.Print(cmd, map[string]any{"operator": op.ID, "standing": to}, func(w io.Writer) {
					fmt.Fprintf(w, "%s is %s now; sessions have ended\n", op.ID, to)
				})
			})
		}),
	}
}

func (p *program) staffRecover() *cobra.Command {
	return &cobra.Command{
		Use: "recover ID", Short: "Make a link for somebody who lost every passkey", Args: cobra.ExactArgs(1),
		Long: `For the day on which there are not two supervisors who could do it in the console: with two others who can sign in it is refused.
The link works once, for one day, and removes all older passkeys of the person.`,
		Example: "  issuer staff list --dir office   # shows the ids\n  issuer staff recover --dir office op-6n42t75q6ngxupvw",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			return p.withPeople(cmd, func(cfg Config, a *app, db *people.DB) error {
				ctx := cmd.Context()
				op, err := db.Operator(ctx, args[0])
				if err != nil {
					return cli.Hint(err, "`issuer staff list` shows the ids")
				}
				all, err := db.Operators(ctx, "")
				if err != nil {
					return err
				}
				others := 0
				for _, o := range all {
					if o.ID != op.ID && o.May(staff.ApprovePerson, staff.Proposed) && (o.Is(staff.Administrator) || o.Office == op.Office) {
						others++
					}
				}
				if others >= 2 {
					return cli.Hint(fmt.Errorf("%d others can do this in the console, two of them together", others), "ask them; this command is for when there are none")
				}
				kind := staff.RecoverLink
				if op.Standing == staff.Invited {
					kind = staff.InviteLink
				}
				secret, link := staff.NewInvitation(kind, p.Now())
				if err := a.deed(ctx, staff.ChangePerson, op.ID, func() error { return db.Relink(ctx, op.ID, link) }); err != nil {
					return err
				}
				return p.printLink(cmd, cfg, op, secret, link)
			})
		}),
	}
}

func (p *program) staffOffice() *cobra.Command {
	var o staff.Office
	c := &cobra.Command{
		Use: "office ID --name NAME", Short: "Add an office, or change what it sees", Args: cobra.ExactArgs(1),
		Long: `An office sees the records whose column has one of the values, or all of them without --column, for the programmes named, or all of them.
Another office's records look to it as if they did not exist.`,
		Example: `  issuer staff office north --dir office --name "Northern district" --column district --value N1 --value N2`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			o.ID = args[0]
			if err := o.Check(); err != nil {
				return p.Misused(err)
			}
			return p.withPeople(cmd, func(_ Config, a *app, db *people.DB) error {
				if err := a.deed(cmd.Context(), staff.ChangeOffice, o.ID, func() error { return db.SaveOffice(cmd.Context(), o) }); err != nil {
					return err
				}
				return p.Print(cmd, map[string]any{"office": o.ID}, func(w io.Writer) { fmt.Fprintf(w, "office %s is as you said\n", o.ID) })
			})
		}),
	}
	c.Flags().StringVar(&o.Name, "name", "", "what people call it")
	c.Flags().StringVar(&o.Column, "column", "", "the `COLUMN` of a record that says whose it is")
	c.Flags().StringArrayVar(&o.Values, "value", nil, "a `VALUE` of that column that is this office's; several times")
	c.Flags().StringArrayVar(&o.Programmes, "programme", nil, "the `ID` of a programme it works with; several times; default: all")
	return c
}
