// Command tasuki hands a Lambda function's container image tag from the repository
// that builds the image to the repository that deploys the function.
package main

import (
	"context"
	"os"

	"github.com/tasuki-dev/tasuki/internal/cli"
	"github.com/tasuki-dev/tasuki/localaws/sandbox"
)

func main() {
	sandbox.Main() // does not return in a process that the local endpoint started for a function
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Process()))
}
