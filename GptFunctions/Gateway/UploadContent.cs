using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace GptFunctions.Gateway;

/// <summary>
/// The caller's body on its way to the upstream, piece by piece as it comes. The route's time runs while the upstream is waited for, the
/// caller's own while the caller is. Once the upstream has answered, the rest is not sent.
/// </summary>
internal sealed class UploadContent : HttpContent
{
    private const int PieceSize = 16 * 1024;

    /// <summary>The upload whose pieces are written in this flow of control: how a connection, which the handler picks, finds it.</summary>
    private static readonly AsyncLocal<UploadContent?> Writing = new();

    private readonly HttpRequest source;
    private readonly GatewayRoute route;
    private readonly TimeSpan patience;
    private readonly CancellationTokenSource limit;
    private readonly CancellationTokenSource waiting;
    private readonly long? length;
    private Task sending = Task.CompletedTask;
    private volatile bool isAnswered;
    private volatile bool isOver;
    private volatile bool isTimed = true;
    private bool isStarted;

    /// <param name="patience">How long the caller may send nothing.</param>
    /// <param name="limit">The route's time.</param>
    public UploadContent(HttpRequest source, GatewayRoute route, TimeSpan patience, CancellationTokenSource limit)
    {
        (this.source, this.route, this.patience, this.limit, length) = (source, route, patience, limit, source.ContentLength);
        waiting = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        if (source.HttpContext.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null; // the server's own limit is 5 s
        }
    }

    /// <summary>The upload that is being written by whoever asks.</summary>
    public static UploadContent? Current => Writing.Value;

    /// <summary>What is wrong with the caller's body; null while nothing is.</summary>
    public GatewayRefusal? Refusal { get; private set; }

    /// <summary>Whether the answer came first, so that nothing more needs to be sent.</summary>
    public bool IsAnswered => isAnswered;

    /// <summary>Whether all has been sent.</summary>
    public bool IsOver => isOver;

    /// <summary>Ends what waits for the caller or the upstream.</summary>
    public CancellationToken WhenAnswered => waiting.Token;

    /// <summary>The answer began while this was still being sent.</summary>
    public void Answered()
    {
        isAnswered = true;
        _ = waiting.CancelAsync(); // what waits goes on elsewhere
    }

    /// <summary>From now on the route's time is the relay's to set.</summary>
    public void LeaveTime() => isTimed = false;

    /// <summary>Ends what is still going on, because nothing may touch the request once it is over.</summary>
    public async Task EndAsync()
    {
        await waiting.CancelAsync();
        await sending.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) =>
        sending = SendAsync(stream, cancellationToken);

    protected override bool TryComputeLength(out long length)
    {
        length = this.length ?? 0;
        return this.length is not null;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            waiting.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task SendAsync(Stream stream, CancellationToken cancellationToken)
    {
        if (isStarted)
        {
            throw new HttpRequestException("the connection was lost when a part of the body had been sent, and it comes only once");
        }

        isStarted = true;
        Writing.Value = this; // until this method returns
        try
        {
            long sent = 0;
            while (!isAnswered)
            {
                var result = await ReadAsync(stream, cancellationToken);
                try
                {
                    if (result.IsCanceled)
                    {
                        Stop();
                        break;
                    }

                    foreach (var piece in result.Buffer)
                    {
                        await stream.WriteAsync(piece, cancellationToken);
                        sent += piece.Length;
                    }
                }
                finally
                {
                    source.BodyReader.AdvanceTo(result.Buffer.End);
                }

                if (result.IsCompleted)
                {
                    return;
                }
            }

            await PretendAsync(stream, (length ?? sent) - sent, cancellationToken);
        }
        finally
        {
            isOver = true;
        }
    }

    /// <summary>The next piece of the caller's; cancelled when none came in time, or none is wanted any more.</summary>
    private async ValueTask<ReadResult> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        // Not cancelled by a token: the server would take the read for one that is still under way.
        var reading = source.BodyReader.ReadAsync(CancellationToken.None).AsTask();
        if (!reading.IsCompleted)
        {
            await FlushAsync(stream, reading, cancellationToken);
            Time(waiting, patience);
            Time(limit, Timeout.InfiniteTimeSpan);
            await using (waiting.Token.UnsafeRegister(static reader => ((PipeReader)reader!).CancelPendingRead(), source.BodyReader))
            {
                await ((Task)reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            }
        }

        Time(waiting, Timeout.InfiniteTimeSpan);
        Time(limit, route.Timeout);
        try
        {
            return await reading;
        }
        catch (IOException error) when (!source.HttpContext.RequestAborted.IsCancellationRequested)
        {
            Refusal = GatewayRefusal.BadBody(error);
            throw;
        }
    }

    /// <summary>Whether because of the caller, the upstream or us, this upload goes no further.</summary>
    private void Stop()
    {
        if (isAnswered)
        {
            return;
        }

        limit.Token.ThrowIfCancellationRequested();
        Refusal = GatewayRefusal.UploadStalled(patience);
        throw new OperationCanceledException("the caller sends nothing more");
    }

    /// <summary>It may be long until the next piece: the upstream gets what there is.</summary>
    private async Task FlushAsync(Stream stream, Task<ReadResult> reading, CancellationToken cancellationToken)
    {
        try
        {
            await stream.FlushAsync(cancellationToken);
        }
        catch
        {
            source.BodyReader.CancelPendingRead();
            await ((Task)reading).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            if (reading.IsCompletedSuccessfully)
            {
                source.BodyReader.AdvanceTo((await reading).Buffer.Start);
            }

            throw;
        }
    }

    /// <summary>Sends nothing to nobody, so that the handler takes the request for complete and goes on to the answer: the connection swallows it.</summary>
    private static async Task PretendAsync(Stream stream, long rest, CancellationToken cancellationToken)
    {
        var nothing = new byte[PieceSize];
        while (rest > 0)
        {
            var count = (int)Math.Min(rest, PieceSize);
            await stream.WriteAsync(nothing.AsMemory(0, count), cancellationToken);
            rest -= count;
        }
    }

    private void Time(CancellationTokenSource which, TimeSpan time)
    {
        if (isTimed)
        {
            which.CancelAfter(time);
        }
    }
}
