// Invokes a function of the local endpoint: node invoke.mjs FUNCTION ALIAS PAYLOAD. The
// endpoint reads who calls, and does not verify the signature.
const [name, alias, payload] = process.argv.slice(2)
const answer = await fetch(`${process.env.AWS_ENDPOINT_URL}/2015-03-31/functions/${name}/invocations?Qualifier=${alias}`, {
  method: 'POST',
  headers: { Authorization: `AWS4-HMAC-SHA256 Credential=local/20260101/${process.env.AWS_REGION}/lambda/aws4_request, SignedHeaders=host, Signature=0` },
  body: payload,
})
const failure = answer.headers.get('x-amz-function-error')
console.log((failure ? `${failure}: ` : '') + (await answer.text()))
