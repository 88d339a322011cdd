#!/usr/bin/env bash
# The infra side with the AWS CLI alone: deploy the function of a handoff, on the
# image that tasuki resolves. Run it as often as you like; the first time it creates
# the repository and the function, on the placeholder image.
#
#   deploy.sh HANDOFF ROLE_ARN [ARCHITECTURE]
set -euo pipefail

handoff=$1 role=$2 architecture=${3:-x86_64}

# there COMMAND…: is it there? Only AWS's own "not found" is a no: who may not look, or
# gets no answer, must not go on as if there was nothing.
there() {
	local said
	said=$("$@" 2>&1 >/dev/null) && return
	case $said in
	*RepositoryNotFoundException* | *ResourceNotFoundException*) return 1 ;;
	esac
	echo "$said" >&2
	exit 1
}

there aws ecr describe-repositories --repository-names "$handoff" ||
	aws ecr create-repository --repository-name "$handoff" --image-tag-mutability IMMUTABLE_WITH_EXCLUSION \
		--image-tag-mutability-exclusion-filters 'filterType=WILDCARD,filter=tasuki-*' >/dev/null

image=$(tasuki resolve "$handoff" --repository "$handoff" --function "$handoff" --architecture "$architecture")
echo "resolved: $image"

if there aws lambda get-function --function-name "$handoff"; then
	tasuki reconcile "$handoff"
else
	aws lambda create-function --function-name "$handoff" --package-type Image \
		--code "ImageUri=$image" --role "$role" --architectures "$architecture" >/dev/null
	aws lambda wait function-active-v2 --function-name "$handoff"
	tasuki contract "$handoff" --write --repository "$handoff" --function "$handoff" >/dev/null
	echo "created: $handoff"
fi
