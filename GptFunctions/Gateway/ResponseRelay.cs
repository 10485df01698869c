using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace GptFunctions.Gateway;

/// <summary>
/// Hands an upstream's answer to the caller. Pieces go on as they come, with one exception: where a route has a cap, an answer of unknown
/// length is held until it has ended below the cap, because afterwards it would be too late to say 502. Events (text/event-stream) are
/// never held; they are broken off at the cap.
/// </summary>
internal sealed class ResponseRelay(HttpContext context, GatewayRoute route, HttpResponseMessage response, Func<int, Task> onAnswer, CancellationTokenSource limit)
{
    private const int SmallestBuffer = 4 * 1024;
    private const int LargestBuffer = 64 * 1024;
    private const int BytesPerCharacter = 4; // at most, in UTF-8
    private readonly long? length = response.Content.Headers.ContentLength;
    private readonly bool isEvents = response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) && type.ToString().StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase);
    private long characters;
    private long octets;

    public async Task<Forwarded> RelayAsync()
    {
        if (HttpMethods.IsHead(context.Request.Method) || route.MaximumCharacters is not { } maximum || length <= maximum)
        {
            await CopyHeadAsync();
            await StreamAsync(maximum: null);
        }
        else if (length / BytesPerCharacter > maximum)
        {
            return GatewayRefusal.TooLarge(maximum);
        }
        else if (isEvents)
        {
            await CopyHeadAsync();
            await StreamAsync(maximum);
        }
        else if (await HoldAsync(maximum) is { } whole)
        {
            await CopyHeadAsync();
            context.Response.ContentLength = whole.Length;
            await context.Response.Body.WriteAsync(whole, limit.Token);
        }
        else
        {
            return GatewayRefusal.TooLarge(maximum);
        }

        return new Forwarded(context.Response.StatusCode, null);
    }

    private async Task CopyHeadAsync()
    {
        await onAnswer((int)response.StatusCode);
        context.Response.StatusCode = (int)response.StatusCode;
        Copy(response.Headers.NonValidated);
        Copy(response.Content.Headers.NonValidated);

        void Copy(System.Net.Http.Headers.HttpHeadersNonValidated headers)
        {
            foreach (var (name, values) in headers)
            {
                // RFC 9110 8.6: no Content-Length with 204
                if (HeaderRules.OfResponse(name) == HeaderRule.Pass && !(context.Response.StatusCode == StatusCodes.Status204NoContent && name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase)))
                {
                    context.Response.Headers.Append(name, values.Count == 1 ? values.ToString() : values.ToArray());
                }
            }
        }
    }

    /// <param name="maximum">Characters after which the answer is broken off.</param>
    private async Task StreamAsync(int? maximum)
    {
        if (length is null)
        {
            context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
            await context.Response.StartAsync(limit.Token); // whoever waits for events sees at once that there will be some
        }

        await using var body = await response.Content.ReadAsStreamAsync(limit.Token);
        var writer = context.Response.BodyWriter;
        var buffer = (int)Math.Clamp(length ?? 0, SmallestBuffer, LargestBuffer);
        while (true)
        {
            limit.CancelAfter(route.Timeout); // from now on it counts between two pieces
            var memory = writer.GetMemory(buffer);
            var count = await body.ReadAsync(memory, limit.Token);
            if (count == 0)
            {
                return;
            }

            if (IsOver(memory.Span[..count], maximum))
            {
                throw new IOException($"the answer is longer than {maximum} characters");
            }

            writer.Advance(count);
            await writer.FlushAsync(limit.Token);
        }
    }

    /// <summary>The whole answer; null when it is too long.</summary>
    private async Task<ReadOnlyMemory<byte>?> HoldAsync(int maximum)
    {
        var held = new MemoryStream(SmallestBuffer);
        await using var body = await response.Content.ReadAsStreamAsync(limit.Token);
        var piece = new byte[SmallestBuffer];
        while (await body.ReadAsync(piece, limit.Token) is > 0 and var count)
        {
            if (IsOver(piece.AsSpan(0, count), maximum))
            {
                return null;
            }

            held.Write(piece, 0, count);
        }

        return held.GetBuffer().AsMemory(0, (int)held.Length);
    }

    private bool IsOver(ReadOnlySpan<byte> piece, int? maximum)
    {
        if (maximum is null)
        {
            return false;
        }

        octets += piece.Length;
        foreach (var octet in piece)
        {
            characters += (octet & 0xC0) == 0x80 ? 0 : 1; // RFC 3629: what follows the first octet of a character
        }

        return characters > maximum || octets / BytesPerCharacter > maximum; // the latter for what is no text
    }
}
