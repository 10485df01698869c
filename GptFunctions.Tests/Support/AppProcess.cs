using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace GptFunctions.Tests.Support;

/// <summary>The program in a process of its own, so that it can be killed, stopped, or run beside another one.</summary>
internal sealed class AppProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly Process process;

    private AppProcess(Process process, string address)
    {
        this.process = process;
        Http = new HttpClient(
            new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, MaxConnectionsPerServer = 64 })
        {
            BaseAddress = new Uri(address),
        };
    }

    public HttpClient Http { get; }

    public ConcurrentQueue<string> Output { get; } = new();

    public int Id => process.Id;

    /// <summary>
    /// Starts the standalone host on a free port (PUBLIC_BASE_URL stays as given, so that several share one issuer) and waits until it is ready.
    /// </summary>
    /// <param name="program">The assembly; the one beside the tests by default.</param>
    public static async Task<AppProcess> StartAsync(IReadOnlyDictionary<string, string?> settings, string? directory = null, string? program = null)
    {
        var port = TestApp.FreePort();
        var app = new AppProcess(Create([], settings, port, directory, program), $"http://127.0.0.1:{port}");
        app.Begin();
        var clock = Stopwatch.StartNew();
        while (!await app.IsReadyAsync())
        {
            if (app.process.HasExited || clock.Elapsed > Patience)
            {
                await app.DisposeAsync();
                throw new InvalidOperationException("The program did not become ready:\n" + string.Join('\n', app.Output));
            }

            await Task.Delay(50);
        }

        return app;
    }

    /// <summary>Starts a command that takes its time.</summary>
    public static AppProcess StartCommand(IReadOnlyDictionary<string, string?> settings, params string[] arguments)
    {
        var command = new AppProcess(Create(arguments, settings, null, null, null), "http://127.0.0.1:1");
        command.Begin();
        return command;
    }

    /// <summary>Runs a command to its end.</summary>
    public static Task<(int ExitCode, string Output, string Error)> RunAsync(IReadOnlyDictionary<string, string?> settings, params string[] arguments) =>
        RunInAsync(Path.GetTempPath(), settings, arguments);

    /// <summary>Runs a command in a directory, which keeps what Development stores in files.</summary>
    public static Task<(int ExitCode, string Output, string Error)> RunInAsync(
        string directory, IReadOnlyDictionary<string, string?> settings, params string[] arguments) =>
        RunProgramAsync(null, directory, settings, arguments);

    /// <summary>Runs a command of another build.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunProgramAsync(
        string? program, string directory, IReadOnlyDictionary<string, string?> settings, params string[] arguments)
    {
        using var command = Create(arguments, settings, null, directory, program);
        command.Start();
        var output = command.StandardOutput.ReadToEndAsync();
        var error = command.StandardError.ReadToEndAsync();
        await command.WaitForExitAsync().WaitAsync(Patience);
        return (command.ExitCode, await output, await error);
    }

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    /// <summary>SIGTERM, then waits; returns the exit code.</summary>
    /// <param name="patience">How long it may take; a minute when left out.</param>
    public async Task<int> StopAsync(TimeSpan? patience = null)
    {
        using var kill = Process.Start("kill", ["-TERM", process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        await process.WaitForExitAsync().WaitAsync(patience ?? Patience);
        return process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!process.HasExited)
        {
            await KillAsync();
        }

        process.Dispose();
    }

    private static Process Create(string[] arguments, IReadOnlyDictionary<string, string?> settings, int? port, string? directory, string? program)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            WorkingDirectory = directory ?? Path.GetTempPath(),
        };
        start.ArgumentList.Add(program ?? Path.Combine(AppContext.BaseDirectory, "GptFunctions.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["DOTNET_TieredPGO"] = "0"; // as in this process
        start.Environment["DOTNET_TC_CallCountingDelayMs"] = "7D0"; // hexadecimal: most processes do not live long enough for better code to pay
        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        if (port is not null)
        {
            start.Environment["PORT"] = port.Value.ToString(CultureInfo.InvariantCulture);
        }

        return new Process { StartInfo = start };
    }

    private void Begin()
    {
        process.OutputDataReceived += (_, line) => Enqueue(line.Data);
        process.ErrorDataReceived += (_, line) => Enqueue(line.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            using var response = await Http.GetAsync(new Uri("/ready", UriKind.Relative));
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private void Enqueue(string? line)
    {
        Output.Enqueue(line ?? "");
        RunLog.Lines.Enqueue(line ?? "");
    }
}
