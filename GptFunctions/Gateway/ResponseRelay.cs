using System.IO.Compression;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace GptFunctions.Gateway;

/// <summary>An answer went over its cap when a part of it had been handed on.</summary>
internal sealed class AnswerTooLongException(int maximum) : IOException($"the answer is longer than {maximum} characters");

/// <summary>
/// Hands an upstream's answer to the caller. Pieces go on as they come, with one exception: where a route has a cap, an answer of unknown
/// length is held until it has ended below the cap, because afterwards it would be too late to say 502. Events (text/event-stream) are
/// never held; they are broken off at the cap.
/// </summary>
/// <param name="limit">Runs while the upstream is waited for, and only then.</param>
internal sealed class ResponseRelay(HttpContext context, GatewayRoute route, HttpResponseMessage response, AnswerHead head, CancellationTokenSource limit)
{
    private const int SmallestBuffer = 4 * 1024;
    private const int LargestBuffer = 64 * 1024;
    private const int BytesPerCharacter = 4; // at most, in all encodings that there are

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public async ValueTask<Forwarded> RelayAsync()
    {
        if (!head.HasContent)
        {
            CopyHead(LengthWithoutContent());
        }
        else if (route.MaximumCharacters is not { } maximum)
        {
            CopyHead(head.Length);
            await StreamAsync(Content(), count: null);
        }
        else if (head.Coding is not (null or "gzip" or "x-gzip" or "deflate" or "br"))
        {
            return GatewayRefusal.InvalidAnswer; // we said that we want none
        }
        else
        {
            return await RelayCappedAsync(maximum);
        }

        return new Forwarded(context.Response.StatusCode, null);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Forwarded> RelayCappedAsync(int maximum)
    {
        var length = head.Coding is null ? head.Length : null;
        if (length <= maximum)
        {
            CopyHead(length);
            await StreamAsync(Content(), count: null);
        }
        else if (length / BytesPerCharacter > maximum)
        {
            return GatewayRefusal.TooLarge(maximum);
        }
        else if (head.IsEvents)
        {
            CopyHead(length);
            await StreamAsync(Decoded(Content()), new CharacterCount(head.ContentType));
        }
        else if (await HoldAsync(Decoded(Content()), maximum) is { } whole)
        {
            CopyHead(whole.Length);
            await context.Response.Body.WriteAsync(whole, limit.Token);
        }
        else
        {
            return GatewayRefusal.TooLarge(maximum);
        }

        return new Forwarded(context.Response.StatusCode, null);
    }

    /// <summary>As it comes; what waits is reading from it.</summary>
    private Stream Content() => response.Content.ReadAsStream(limit.Token);

    /// <summary>Compressed characters cannot be counted, and the caller did not ask for them.</summary>
    private Stream Decoded(Stream content) => head.Coding switch
    {
        "gzip" or "x-gzip" => new GZipStream(content, CompressionMode.Decompress),
        "deflate" => new ZLibStream(content, CompressionMode.Decompress),
        "br" => new BrotliStream(content, CompressionMode.Decompress),
        _ => content,
    };

    // RFC 9110 8.6: never with 204; with HEAD and 304 it tells of the content that there would be. 15.3.6: a 205 says that it has none.
    private long? LengthWithoutContent() => head.Status switch
    {
        StatusCodes.Status204NoContent => null,
        StatusCodes.Status205ResetContent => 0,
        _ => head.Length,
    };

    private void CopyHead(long? length)
    {
        head.CopyTo(context.Response, isDecoded: head.HasContent && route.MaximumCharacters is not null);
        context.Response.ContentLength = length;
    }

    /// <param name="count">Counts up to the route's cap, at which the answer is broken off; null where there is no need to.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask StreamAsync(Stream content, CharacterCount? count)
    {
        await using var body = content;
        if (context.Response.ContentLength is null)
        {
            context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
            await context.Response.StartAsync(limit.Token); // whoever waits for events sees at once that there will be some
        }

        var writer = context.Response.BodyWriter;
        var buffer = (int)Math.Clamp(context.Response.ContentLength ?? 0, SmallestBuffer, LargestBuffer);
        while (true)
        {
            var memory = writer.GetMemory(buffer);
            var read = await ReadAsync(body, memory);
            if (read == 0)
            {
                return;
            }

            count?.Add(memory.Span[..read]);
            if (count?.Total > route.MaximumCharacters)
            {
                throw new AnswerTooLongException(route.MaximumCharacters!.Value);
            }

            writer.Advance(read);
            await writer.FlushAsync(limit.Token);
        }
    }

    /// <summary>The whole answer; null when it is too long.</summary>
    private async Task<ReadOnlyMemory<byte>?> HoldAsync(Stream content, int maximum)
    {
        await using var body = content;
        var count = new CharacterCount(head.ContentType);
        var held = new MemoryStream(SmallestBuffer);
        var piece = new byte[SmallestBuffer];
        while (await ReadAsync(body, piece) is > 0 and var read)
        {
            count.Add(piece.AsSpan(0, read));
            if (count.Total > maximum)
            {
                return null;
            }

            held.Write(piece, 0, read);
        }

        count.End();
        if (count.Total > maximum)
        {
            return null;
        }

        return held.GetBuffer().AsMemory(0, (int)held.Length);
    }

    /// <summary>The next piece. The route's time counts for each; how fast the caller takes it is the server's to watch.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadAsync(Stream body, Memory<byte> memory)
    {
        limit.CancelAfter(route.Timeout);
        try
        {
            return await body.ReadAsync(memory, limit.Token);
        }
        catch (Exception error) when (head.Coding is not null && error is InvalidDataException or InvalidOperationException)
        {
            throw new HttpRequestException(HttpRequestError.InvalidResponse, "its content cannot be decompressed", error);
        }
        finally
        {
            limit.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }
}
