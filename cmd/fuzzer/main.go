// Command fuzzer runs wake-word fuzzing campaigns: it speaks dictionary words
// at a voice assistant, or feeds them to a wake-word model, and ranks those
// that wake it by mistake.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// app is what every subcommand shares.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	configPath     string
	config         config
}

// run carries out a command line and returns its exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if message := describe(err); message != "" {
		fmt.Fprintf(stderr, "fuzzer: %s\n", message)
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "fuzzer",
		Short: "Find the words that wake a voice assistant by mistake",
		Long: `fuzzer speaks dictionary words at a voice assistant, or feeds them to a
wake-word model, and ranks the words that wake it by mistake.

A campaign is described by a file, lives in a folder, and can be stopped and
resumed at any moment:

  fuzzer run examples/openwakeword-alexa.yaml
  fuzzer status campaigns/openwakeword-alexa      (also while it runs)
  fuzzer export campaigns/openwakeword-alexa --format csv

` + exitCodesHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) (err error) {
			a.config, err = loadConfig(a.configPath)
			return err
		},
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "the `file` with settings of this machine (default "+defaultConfigPath()+", if there is one)")
	root.AddCommand(a.runCommand(), a.resumeCommand(), a.statusCommand(), a.exportCommand(),
		a.wordsCommand(), a.distanceCommand(), a.synthCommand(), a.voicesCommand(), a.versionCommand())
	for _, c := range append(root.Commands(), root) {
		c.Args = usageArgs(c.Args)
	}
	return root
}

// usageArgs makes a wrong number of arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}
