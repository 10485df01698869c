using System.Diagnostics;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>The npm packages of this folder, installed once: nothing is fetched while node_modules is as package-lock.json says.</summary>
internal static class ClientPackages
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly Lazy<Task> Installed = new(InstallAsync);

    public static string Directory { get; } = Path.Combine(TestServices.RepositoryRoot, "GptFunctions.Tests", "Clients");

    /// <summary>Waits until the packages are there, for those who use one without a script of this folder.</summary>
    public static Task EnsureAsync() => Installed.Value;

    /// <summary>Starts a script of this folder. The caller disposes the process.</summary>
    public static async Task<Process> StartAsync(string script, params string[] arguments)
    {
        await Installed.Value;
        return Process.Start(Command("node", [script, .. arguments]))!;
    }

    /// <summary>Runs a script to its end and returns what it wrote to its output.</summary>
    public static Task<string> RunAsync(TimeSpan patience, string script, params string[] arguments) => RunWithInputAsync(patience, "", script, arguments);

    /// <summary>The same, with this text as its standard input.</summary>
    public static async Task<string> RunWithInputAsync(TimeSpan patience, string input, string script, params string[] arguments)
    {
        using var process = await StartAsync(script, arguments);
        await process.StandardInput.WriteAsync(input);
        process.StandardInput.Close();
        return await FinishAsync(process, script, patience);
    }

    private static async Task InstallAsync()
    {
        // Two test runs of one checkout may start at the same time: the file is the lock between them.
        var local = System.IO.Directory.CreateDirectory(Path.Combine(TestServices.RepositoryRoot, ".local"));
        await using var turn = await LockAsync(Path.Combine(local.FullName, "npm-install.lock"));
        // A copy of the lock file tells what was installed, so that nothing is fetched for a mere change of file times.
        var wanted = await File.ReadAllTextAsync(Path.Combine(Directory, "package-lock.json"));
        var installed = Path.Combine(Directory, "node_modules", ".installed-lock.json");
        if (File.Exists(installed) && await File.ReadAllTextAsync(installed) == wanted)
        {
            return;
        }

        using var process = Process.Start(Command("npm", ["ci", "--no-audit", "--no-fund"]))!;
        await FinishAsync(process, "npm ci", Patience);
        await File.WriteAllTextAsync(installed, wanted);
    }

    private static async Task<FileStream> LockAsync(string path)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            }
            catch (IOException) when (clock.Elapsed < Patience)
            {
                await Task.Delay(200);
            }
        }
    }

    private static async Task<string> FinishAsync(Process process, string what, TimeSpan patience)
    {
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(patience);
        }
        catch (TimeoutException late)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{what} did not end within {patience}:\n{await output}\n{await error}", late);
        }

        Assert.True(process.ExitCode == 0, $"{what} ended with exit code {process.ExitCode}:\n{await output}\n{await error}");
        return await output;
    }

    private static ProcessStartInfo Command(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program)
        {
            WorkingDirectory = Directory,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        start.Environment["NODE_NO_WARNINGS"] = "1";
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }
}
