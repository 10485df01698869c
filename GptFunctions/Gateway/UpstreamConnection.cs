using System.Runtime.CompilerServices;

namespace GptFunctions.Gateway;

/// <summary>
/// A connection to an upstream that notices an answer which comes before the request has been sent. The handler looks for an answer only
/// afterwards, so an upstream that refuses an upload at once would have to wait for a caller who sends slowly, and its answer would be lost
/// when it closes what it does not want to read. Here the upload is told, the rest of it goes nowhere, and the connection ends with that
/// answer. HTTP/1.1 only: in HTTP/2 the two directions are independent.
/// </summary>
internal sealed class UpstreamConnection(Stream inner) : Stream
{
    private const int BufferSize = 16 * 1024;
    private const int StatusLineStart = 12; // "HTTP/1.1 200"
    private static readonly byte[] LastAnswer = "Connection: close\r\n"u8.ToArray();
    private readonly Lock gate = new();
    private readonly byte[] buffer = new byte[BufferSize + LastAnswer.Length];
    private int start;
    private int end;
    private int examined; // from start to here: interim answers (1xx)
    private Task<bool>? filling;
    private UploadContent? upload;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))] // nobody keeps the task, so its memory serves the next call
    public override async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Task<bool> read;
            lock (gate)
            {
                if (end > start || destination.IsEmpty)
                {
                    var count = Math.Min(end - start, destination.Length);
                    buffer.AsSpan(start, count).CopyTo(destination.Span);
                    start += count;
                    return count;
                }

                read = filling ??= FillAsync();
            }

            var hasMore = await read.WaitAsync(cancellationToken);
            lock (gate)
            {
                filling = null;
            }

            if (!hasMore)
            {
                return 0;
            }
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default)
    {
        var current = UploadContent.Current;
        Watch(current);
        if (upload is { IsAnswered: true })
        {
            return;
        }

        try
        {
            await inner.WriteAsync(source, current?.WhenAnswered ?? cancellationToken);
        }
        catch (Exception error) when (current is not null && error is IOException or OperationCanceledException)
        {
            // Whoever answers and closes leaves a connection that cannot be written to, but read.
            if (filling is { } last)
            {
                await ((Task)last).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            }

            if (!current!.IsAnswered)
            {
                throw;
            }
        }
    }

    public override Task FlushAsync(CancellationToken cancellationToken) =>
        upload is { IsAnswered: true } ? Task.CompletedTask : inner.FlushAsync(cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>From an upload's first octets to its last, somebody reads.</summary>
    /// <param name="current">Null: something else is written.</param>
    private void Watch(UploadContent? current)
    {
        lock (gate)
        {
            if (!ReferenceEquals(current, upload) && upload is not { IsAnswered: true })
            {
                upload = current;
                examined = start;
                if (current is not null && start == end)
                {
                    filling ??= FillAsync();
                }
            }
        }
    }

    /// <summary>Reads until there is something to hand on: while an upload is being sent, until that is a whole beginning of its answer.</summary>
    /// <returns>False at the end of the connection.</returns>
    private async Task<bool> FillAsync()
    {
        start = end = examined = 0;
        while (true)
        {
            var count = await inner.ReadAsync(buffer.AsMemory(end, BufferSize - end));
            var isEarly = false;
            UploadContent? answered;
            lock (gate)
            {
                end += count;
                answered = upload;
                var isWatched = upload is { IsAnswered: false, IsOver: false } && count > 0 && end < BufferSize;
                if (isWatched && !(isEarly = IsFinal()))
                {
                    continue;
                }
            }

            if (isEarly)
            {
                answered!.Answered();
            }

            return end > 0;
        }
    }

    /// <summary>
    /// Whether the final answer has begun, not just interim ones. If so, it is made to end the connection, where the request stays half sent.
    /// </summary>
    private bool IsFinal()
    {
        while (end - examined >= StatusLineStart)
        {
            var seen = buffer.AsSpan(examined, end - examined);
            var line = seen.IndexOf((byte)'\n') + 1;
            if (line == 0)
            {
                return false;
            }

            if (seen[9] != '1' || seen[9..StatusLineStart].SequenceEqual("101"u8))
            {
                seen[line..].CopyTo(buffer.AsSpan(examined + line + LastAnswer.Length));
                LastAnswer.CopyTo(buffer, examined + line);
                end += LastAnswer.Length;
                return true;
            }

            var over = seen.IndexOf("\r\n\r\n"u8);
            if (over < 0)
            {
                return false;
            }

            examined += over + 4;
        }

        return false;
    }
}
