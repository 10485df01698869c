using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Hosting;

internal delegate T BodyParser<out T>(ReadOnlySpan<byte> body);

/// <summary>Reads a request's body as it came, up to a limit. Parsed where it lies, without a copy where it is in one piece.</summary>
internal static class RequestBody
{
    /// <returns>What <paramref name="parse"/> makes of the body, or that it is longer than <paramref name="maximumBytes"/>.</returns>
    public static async ValueTask<(bool IsTooLarge, T? Parsed)> ReadAsync<T>(HttpRequest request, int maximumBytes, BodyParser<T> parse)
    {
        if (request.ContentLength > maximumBytes)
        {
            return (true, default);
        }

        while (true)
        {
            var result = await request.BodyReader.ReadAsync(request.HttpContext.RequestAborted);
            if (result.Buffer.Length > maximumBytes)
            {
                request.BodyReader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
                return (true, default);
            }

            if (result.IsCompleted)
            {
                var parsed = parse(result.Buffer.IsSingleSegment ? result.Buffer.FirstSpan : result.Buffer.ToArray());
                request.BodyReader.AdvanceTo(result.Buffer.End);
                return (false, parsed);
            }

            request.BodyReader.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        }
    }
}
