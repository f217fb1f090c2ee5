package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/qr/image"
	"github.com/sanad-id/sanad/trust"
)

func (p *program) trustCodeCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "code FILE|-", Short: "Draw a delta as a code for scanner pages without a network", Args: cobra.ExactArgs(1),
		Long: `Scanner pages that are never online take newer lists from a code: hold it in front of their camera. It holds some 2 800 bytes, which is a delta of
a few days (issuer trust delta), or a bundle without status lists. What it says is judged like any trust file: by its signatures, and only on the bundle
that it starts from.`,
		Example: "  issuer trust delta monday.trust tuesday.trust --out tuesday.delta\n  verifier trust code tuesday.delta --out tuesday.svg",
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			file, err := readAll(cmd, args[0], trust.MaxFile)
			if err != nil {
				return err
			}
			text, err := trust.Code(file)
			if errors.Is(err, trust.ErrTooLarge) {
				return cli.Hint(err, "hand out the file itself: by USB stick, by the phone's share menu, or from a web server")
			}
			if err != nil {
				return refusal(err)
			}
			code, err := image.Draw(text, image.L)
			if err != nil {
				return err
			}
			if out != "" {
				return writeCode(out, code, text)
			}
			return p.Print(cmd, map[string]any{"text": text, "version": code.Version()}, func(w io.Writer) { fmt.Fprint(w, code.Terminal()) })
		}),
	}
	c.Flags().StringVar(&out, "out", "", "write a picture (.png, .svg) or the text (.txt) of the code into `FILE`")
	return c
}
