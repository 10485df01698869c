#:property OutputType=Library
#:property PublishAot=false
// A startup hook (DOTNET_STARTUP_HOOKS): writes how many bytes its process has allocated so far, and the CPU time it has used, into the
// file ALLOCATIONS_FILE on SIGCONT, which changes nothing else for a running process.
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

[UnsupportedOSPlatform("windows")]
internal static class StartupHook
{
    private static PosixSignalRegistration? registration;

    public static void Initialize()
    {
        var file = Environment.GetEnvironmentVariable("ALLOCATIONS_FILE")!;
        registration = PosixSignalRegistration.Create(PosixSignal.SIGCONT, _ =>
        {
            File.WriteAllText(file + ".new", $"{GC.GetTotalAllocatedBytes(precise: true)} {Environment.CpuUsage.TotalTime.TotalMilliseconds:0}\n");
            File.Move(file + ".new", file, overwrite: true);
        });
    }
}
